"""Who runs when in a cluster within one program."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from raftstore.raft import Message
from raftstore.raft.messages import APPEND, APPEND_RESPONSE, HEARTBEAT, PROPOSE, VOTE
from raftstore.server import Member
from raftstore.server.config import Peer
from raftstore.server.local import LocalCluster
from raftstore.server.local_turns import ANSWERS_WITHOUT_OTHERS, Turns
from raftstore.storage import DiskFailedError

PUTS = 20


def test_turns_come_in_the_order_of_their_work_with_no_other_task_between() -> None:
    order: list[str] = []
    turns = Turns()

    def first() -> None:
        order.append("first")
        turns.add(lambda: order.append("caused by first"))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            await wait_all_tasks_blocked()
            turns.add(first)
            turns.add(lambda: order.append("second"))
            await trio.lowlevel.checkpoint()
            order.append("task")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(main)
    begin = order.index("first")
    assert order[begin : begin + 3] == ["first", "second", "caused by first"]


def test_members_that_always_have_something_to_say_leave_room_for_tasks() -> None:
    turns = Turns()

    def again() -> None:
        turns.add(again)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            turns.add(again)
            for _ in range(PUTS):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_what_lingers_waits_for_the_tasks_resumed_and_for_the_turns_they_cause() -> None:
    order: list[str] = []
    turns = Turns()
    answered = trio.Event()

    def answer() -> None:
        turns.linger(lambda: order.append("lingered"), bool)
        answered.set()

    async def ask_again() -> None:
        await answered.wait()
        order.append("asked")
        turns.add(lambda: order.append("turn"))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            nursery.start_soon(ask_again)
            await wait_all_tasks_blocked()
            turns.add(answer)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert order == ["asked", "turn", "lingered"]


@contextmanager
def frames_counted(cluster: LocalCluster) -> Iterator[list[int]]:
    """The receiver of every batch of Raft messages from member to member."""
    receivers: list[int] = []
    hand_over = cluster.network.hand_over

    def count(sender: int, member: int, messages: list[Message]) -> None:
        receivers.append(member)
        hand_over(sender, member, messages)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster.network, "hand_over", count)
        yield receivers


async def put_while_time_stands_still(clock: MockClock) -> None:
    async with LocalCluster() as cluster:
        await cluster.wait_leader()
        await cluster.wait_published()
        client = cluster.client()
        put = await client.put(b"key", b"value")
        clock.autojump_threshold = float("inf")
        with frames_counted(cluster) as receivers:
            for _ in range(PUTS):
                put = await client.put(b"key", b"value")
            frames = len(receivers)
        await wait_all_tasks_blocked()
        revisions = [member.store.revision for member in cluster.members.values()]
    # Two appends, the answer that makes the quorum, and no message for the news of the commit.
    assert frames == 3 * PUTS
    assert [put.header.revision] * 3 == revisions


def test_a_leader_goes_first_and_those_it_answers_before_the_other_followers() -> None:
    order: list[str] = []
    turns = Turns()
    answered = trio.Event()

    def leader() -> None:
        order.append("leader")
        if len(order) > 1:
            turns.linger(lambda: order.append("lingered"), bool)
            answered.set()

    def follower() -> None:
        order.append("follower")
        turns.add(leader, first=True)

    async def client() -> None:
        await answered.wait()
        order.append("client")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            nursery.start_soon(client)
            await wait_all_tasks_blocked()
            turns.add(follower)
            turns.add(lambda: order.append("other follower"))
            turns.add(leader, first=True)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert order == ["leader", "follower", "leader", "client", "other follower", "lingered"]


def test_news_of_commits_ride_on_the_next_append_or_leave_when_there_is_none() -> None:
    clock = MockClock(autojump_threshold=0)
    trio.run(put_while_time_stands_still, clock, clock=clock)


def test_a_raft_message_stays_as_it_was_sent_for_every_receiver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Members of one program share messages: what one did to them would happen to the others."""
    receive = Member.receive_message
    seen: list[tuple[Message, list[Any]]] = []

    def receive_and_keep(member: Member, sender: int, message: Message) -> None:
        seen.append((message, copy.deepcopy(message.to_wire())))
        receive(member, sender, message)

    monkeypatch.setattr(Member, "receive_message", receive_and_keep)

    async def main() -> None:
        async with LocalCluster() as cluster:
            first = await cluster.wait_leader()
            clients = [cluster.client(number) for number in (1, 2, 3)]
            for number, client in enumerate(clients * 3):
                await client.put(b"key-%d" % number, b"value")
            await clients[0].get(b"key-0")
            await clients[first - 1].move_leader(first % 3 + 1)
            await clients[1].put(b"key", b"value")
            cluster.kill(first)
            await cluster.wait_leader()
            cluster.start(first)
            put = await clients[0].put(b"key", b"other")
            await cluster.wait_applied(put.header.revision)

    with_limit(main)
    kinds = {message.kind for message, _ in seen}
    assert {APPEND, APPEND_RESPONSE, PROPOSE, VOTE, HEARTBEAT} <= kinds
    for message, wire in seen:
        assert message.to_wire() == wire


def test_a_disk_that_fails_in_a_turn_stops_its_member_alone() -> None:
    failed: list[Peer] = []
    stopped = trio.Event()

    def on_failure(peer: Peer, _error: DiskFailedError) -> None:
        failed.append(peer)
        stopped.set()

    async def main() -> None:
        async with LocalCluster(on_failure=on_failure) as cluster:
            leader = await cluster.wait_leader()
            client = cluster.client(leader)
            await client.put(b"key", b"value")
            broken = leader % 3 + 1
            cluster.disks[broken].inject(broken=True)
            await client.put(b"key", b"other")
            await stopped.wait()
            await client.put(b"key", b"third")
            assert [peer.id for peer in failed] == [broken]

    with_limit(main)


def with_limit(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with trio.fail_after(60):
            await main()

    trio.run(limited, clock=MockClock(autojump_threshold=0))


class Rounds(trio.abc.Instrument):
    """How often the event loop looks for tasks that can run."""

    def __init__(self) -> None:
        self.count = 0

    def before_io_wait(self, timeout: float) -> None:
        del timeout
        self.count += 1


def test_others_run_once_in_a_few_puts_of_a_lone_client() -> None:
    rounds = Rounds()

    async def main() -> None:
        async with LocalCluster() as cluster:
            await cluster.wait_leader()
            await cluster.wait_published()
            client = cluster.client()
            await client.put(b"key", b"value")
            clock.autojump_threshold = float("inf")
            before = rounds.count
            for _ in range(PUTS):
                await client.put(b"key", b"value")
            others = PUTS // ANSWERS_WITHOUT_OTHERS
            assert others <= rounds.count - before <= others + 2

    clock = MockClock(autojump_threshold=0)
    trio.run(main, clock=clock, instruments=[rounds])


def test_a_lone_client_that_is_cancelled_puts_no_more() -> None:
    puts = 0

    async def main() -> None:
        nonlocal puts
        async with LocalCluster() as cluster:
            await cluster.wait_leader()
            client = cluster.client()
            with trio.CancelScope() as scope:
                for _ in range(PUTS):
                    if puts == 2:
                        scope.cancel()
                    await client.put(b"key", b"value")
                    puts += 1
            # The one that was on its way may have been carried out, as with any cancelled put.
            found = await client.get(b"key")
            assert found is not None
            assert found.version <= puts + 1

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert puts == 2


def test_the_last_of_those_who_were_answered_gives_the_turns() -> None:
    turns = Turns()
    asked: list[str] = []
    order: list[str] = []

    def leader() -> None:
        order.append("leader")
        turns.linger(lambda: None, lambda: len(asked) == 2)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            await wait_all_tasks_blocked()
            leader()
            turns.add(lambda: order.append("follower"))
            for name in ("first", "second"):
                asked.append(name)
                turns.give_now()
                order.append(name)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert order == ["leader", "first", "follower", "second"]


def test_what_a_turn_raises_ends_the_program_of_every_task() -> None:
    turns = Turns()

    def broken() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            await wait_all_tasks_blocked()
            turns.linger(lambda: None, lambda: True)
            turns.add(broken)
            # The client is not told: it did nothing wrong, and might continue.
            turns.give_now()
            await trio.sleep_forever()

    with pytest.RaisesGroup(ZeroDivisionError):
        trio.run(main)
