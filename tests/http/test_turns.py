"""The order in which the streams of a connection send."""

from __future__ import annotations

from raftstore.http.turns import Turns


def test_streams_with_something_to_send_take_turns() -> None:
    turns: Turns[int] = Turns()
    for stream_id in (1, 3, 5):
        turns.add(stream_id)
    taken = []
    for _ in range(6):
        taken.append(turns.take())
        turns.add(taken[-1])
    assert taken == [1, 3, 5, 1, 3, 5]


def test_a_blocked_stream_waits_until_it_is_unblocked() -> None:
    turns: Turns[int] = Turns()
    for stream_id in (1, 3):
        turns.add(stream_id)
    turns.block(1)
    # What it has to send meanwhile does not unblock it.
    turns.add(1)
    assert (turns.take(), bool(turns)) == (3, False)
    turns.unblock(1)
    turns.unblock(1)
    assert (turns.take(), bool(turns)) == (1, False)


def test_all_are_unblocked_in_the_order_in_which_they_were_blocked() -> None:
    turns: Turns[int] = Turns()
    for stream_id in (5, 1, 3):
        turns.block(stream_id)
    turns.unblock_all()
    assert [turns.take() for _ in range(3)] == [5, 1, 3]


def test_a_stream_that_has_ended_leaves_nothing_behind() -> None:
    turns: Turns[int] = Turns()
    turns.add(1)
    turns.block(3)
    for stream_id in (1, 3, 5):
        turns.remove(stream_id)
    assert len(turns) == 0
