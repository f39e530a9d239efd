"""Snapshots on their way between members: in parts, a few at a time, lost ones sent again.

Raft says that a member needs a snapshot; its message names the snapshot, and this carries the
state. The leader packs a part when there is room in the window, so that it never holds more than
the window in bytes, whatever the size of the state and however slow the other end. To a member of
the same program a part goes by reference, since versions never change. The taker loads
a window per batch at most, so that other work never waits for more; while others write, the leader
sends as many parts as stand in a proportion to what they write (`Pace`), else the transfer would go
on as fast as messages come and go, and every step of a write would wait for a part. The state sent
is the one that Raft's message names, whatever is written meanwhile. Parts may be lost, doubled and
overtake each other.

A part is ``[SNAPSHOT_PART, number, term, place, data, is_last]``: `number` grows with every
transfer of a member, `term` is the leader's. The data of place 0 is Raft's message without the
state, then come the chunks. The answer is ``[SNAPSHOT_TAKEN, number, count]``: so many parts from
the first on have arrived; REFUSED instead of the count ends the transfer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import attrs
import msgpack

from raftstore.mvcc.snapshot import (
    Part,
    SnapshotFormatError,
    StateLoader,
    StateView,
    pack_part,
)
from raftstore.raft import Message, RawNode
from raftstore.server.forwarding import Transport

SNAPSHOT_PART: Final = 102
SNAPSHOT_TAKEN: Final = 103
# The types of the fields: a peer port lets nothing else in.
SHAPES: Final[dict[int, tuple[type, ...]]] = {
    SNAPSHOT_PART: (int, int, int, int, bytes, bool),
    SNAPSHOT_TAKEN: (int, int, int),
}
REFUSED: Final = -1
# So many parts are under way at once: half a MiB.
WINDOW_PARTS: Final = 8
# A part may leave for so many new writes: to take them up costs a leader about twice as much time
# as to send the part, also if the taker shares its core. And what is sent is several times as
# much as what is written meanwhile, so that there is an end.
WRITES_PER_PART: Final = 16
# A large write counts once more for each so many bytes.
WRITE_BYTES: Final = 2 << 10
# So many may leave for the writes of one batch.
MAX_SAVED_PARTS: Final = 64
# Between two parts at most, 8 MB/s: where little is written there is time, and the transfer shall
# end. No less, for little is written too where the machine has no time for this process.
SPACING_NS: Final = 8_000_000
# So long after a write there may be another one.
IDLE_NS: Final = 20_000_000
RESEND_TICKS: Final = 3
# Without any answer; earlier than Raft itself would give the snapshot up.
GIVE_UP_TICKS: Final = 20
# So many answers that repeat a count tell that the next part is lost.
REPEATS_FOR_LOSS: Final = 3


@attrs.define
class Sending:
    """A snapshot being sent to one member."""

    number: int
    term: int
    rest: Iterator[Part]
    # The parts under way, oldest first.
    unanswered: deque[list[Any]] = attrs.Factory(deque)
    taken: int = 0
    sent: int = 0
    repeats: int = 0
    silent_ticks: int = 0
    # One ahead: a part says whether it is the last.
    upcoming: Part | None = None


def weight_of(writes: int, size_bytes: int) -> int:
    """As how many writes so many count that are of so many bytes together."""
    return writes + size_bytes // WRITE_BYTES


class Pace:
    """How fast a leader sends parts: as fast as it can, unless there are writes.

    Then in proportion to them. So both have their share of the time however fast the machine is,
    and no clock is needed that would measure it.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._written: int | None = None
        self._busy_until_ns = 0
        self._sent_ns = 0
        self._saved = 0

    def expect(self, written: int) -> None:
        """A transfer begins; there are writes, and there will be more."""
        self._written = written
        self._busy_until_ns = self._now_ns() + IDLE_NS

    def note(self, written: int) -> None:
        """So much has been written since the start (`weight_of`); to be told in every batch."""
        if written != self._written:
            if self._written is not None:
                self._busy_until_ns = self._now_ns() + IDLE_NS
                saved = self._saved + written - self._written
                self._saved = min(saved, MAX_SAVED_PARTS * WRITES_PER_PART)
            self._written = written

    def take_turn(self) -> bool:
        """Whether a part may be sent now; it is then taken for sent."""
        now_ns = self._now_ns()
        if self._saved >= WRITES_PER_PART:
            self._saved -= WRITES_PER_PART
        elif now_ns < self._busy_until_ns and now_ns < self._sent_ns + SPACING_NS:
            return False
        self._sent_ns = now_ns
        return True


# Hands a part to a member of the same program; False: it is elsewhere, and gets bytes.
HandOver = Callable[[int, list[Any]], bool]


def _is_elsewhere(_member: int, _part: list[Any]) -> bool:
    return False


class SnapshotSender:
    """The leader's end: at most one transfer to each member."""

    def __init__(
        self,
        transport: Transport,
        first_number: int,
        pace: Pace,
        hand_over: HandOver = _is_elsewhere,
    ) -> None:
        self.sent_parts = 0
        self._hand_over = hand_over
        self._pace = pace
        self._transport = transport
        self._last_number = first_number
        self._sending: dict[int, Sending] = {}

    def __len__(self) -> int:
        return len(self._sending)

    def begin(self, message: Message, written: int | None = None) -> None:
        """Send a snapshot; it takes the place of one that is being sent to the same member.

        `written`: what was written until now, if there have just been writes.
        """
        if written is not None:
            self._pace.expect(written)
        snapshot = message.snapshot
        assert snapshot is not None, "a snapshot message carries a snapshot"
        state: StateView = snapshot.data
        head = attrs.evolve(message, snapshot=snapshot._replace(data=b""))
        self._last_number += 1
        sending = Sending(
            self._last_number,
            message.term,
            chain((msgpack.packb(head.to_wire()),), state.parts()),
        )
        sending.upcoming = next(sending.rest)
        self._sending[message.to] = sending
        self._fill(message.to, sending)

    def answered(self, sender: int, wire: list[Any], node: RawNode) -> None:
        """The other end tells what it has taken."""
        _, number, count = wire
        sending = self._sending.get(sender)
        if sending is None or number != sending.number:
            return
        if count == REFUSED:
            self._end(sender, node, ok=False)
            return
        if count <= sending.taken:
            self._repeated(sender, sending, count)
            return
        for _ in range(min(count - sending.taken, len(sending.unanswered))):
            sending.unanswered.popleft()
        sending.taken = count
        sending.repeats = sending.silent_ticks = 0
        node.raft.report_snapshot_progress(sender)
        self._fill(sender, sending)
        if not sending.unanswered and sending.upcoming is None:
            self._end(sender, node, ok=True)

    def resume(self, written: int) -> None:
        """Send what had to wait; to be called in every batch, with what was written (`Pace`)."""
        self._pace.note(written)
        for member, sending in self._sending.items():
            if sending.upcoming is not None and len(sending.unanswered) < WINDOW_PARTS:
                self._fill(member, sending)

    def _repeated(self, sender: int, sending: Sending, count: int) -> None:
        if count == sending.taken and sending.unanswered:
            sending.repeats += 1
            if sending.repeats == REPEATS_FOR_LOSS:
                self._send(sender, sending.unanswered[0])

    def _fill(self, member: int, sending: Sending) -> None:
        while (
            sending.upcoming is not None
            and len(sending.unanswered) < WINDOW_PARTS
            and self._pace.take_turn()
        ):
            data, sending.upcoming = sending.upcoming, next(sending.rest, None)
            is_last = sending.upcoming is None
            part = [SNAPSHOT_PART, sending.number, sending.term, sending.sent, data, is_last]
            sending.sent += 1
            sending.unanswered.append(part)
            self._send(member, part)

    def _send(self, member: int, part: list[Any]) -> None:
        self.sent_parts += 1
        if not self._hand_over(member, part):
            *place, data, is_last = part
            self._transport.send_peer(member, [*place, pack_part(data), is_last])

    def tick(self, node: RawNode) -> None:
        """Send again what is not answered; give up a member that answers nothing."""
        for member, sending in list(self._sending.items()):
            sending.silent_ticks = sending.silent_ticks + 1 if sending.unanswered else 0
            if sending.silent_ticks >= GIVE_UP_TICKS:
                self._end(member, node, ok=False)
            elif sending.silent_ticks and sending.silent_ticks % RESEND_TICKS == 0:
                sending.repeats = 0
                for part in sending.unanswered:
                    self._send(member, part)

    def _end(self, member: int, node: RawNode, *, ok: bool) -> None:
        del self._sending[member]
        node.report_snapshot(member, ok=ok)

    def stop(self) -> None:
        """This member leads no more."""
        self._sending.clear()


@attrs.define
class Receiving:
    """A snapshot that arrives."""

    sender: int
    number: int
    term: int
    head: Message | None = None
    loader: StateLoader = attrs.Factory(StateLoader)
    taken: int = 0
    # Parts that have arrived, by place: no more than the window.
    waiting: dict[int, tuple[Part, bool]] = attrs.Factory(dict)
    silent_ticks: int = 0


class SnapshotReceiver:
    """The follower's end: builds one state at a time, next to the present one."""

    def __init__(self, transport: Transport) -> None:
        self.received_parts = 0
        self._transport = transport
        self.receiving: Receiving | None = None
        # The number of the newest transfer of each sender, and what of it was answered last.
        self._newest: dict[int, tuple[int, int]] = {}

    def take(self, sender: int, wire: list[Any], own_term: int) -> None:
        """Take a part; `load` will look at it."""
        _, number, term, place, data, is_last = wire
        if term < own_term:
            self._answer(sender, number, REFUSED)
            return
        receiving = self.receiving
        if receiving is None or (receiving.sender, receiving.number) != (sender, number):
            receiving = self._begin(sender, number, term, place)
            if receiving is None:
                return
        receiving.silent_ticks = 0
        if receiving.taken <= place < receiving.taken + WINDOW_PARTS:
            receiving.waiting[place] = data, is_last
        if receiving.taken not in receiving.waiting:
            # The next one is late, or this one is known: say where things stand.
            self._answer(sender, number, receiving.taken)

    def load(self, max_parts: int) -> Message | None:
        """Take in what is next in order.

        With the last part, Raft's message with the state, ready to be installed.
        """
        receiving = self.receiving
        if receiving is None or receiving.taken not in receiving.waiting:
            return None
        try:
            complete = self._load(receiving, max_parts)
        except (SnapshotFormatError, IndexError, TypeError, ValueError, msgpack.UnpackException):
            # The sender tries again, with another snapshot.
            self._drop(receiving)
            self._answer(receiving.sender, receiving.number, REFUSED)
            return None
        self._answer(receiving.sender, receiving.number, receiving.taken)
        return complete

    def _begin(self, sender: int, number: int, term: int, place: int) -> Receiving | None:
        newest, answered = self._newest.get(sender, (0, 0))
        if number == newest:
            self._answer(sender, number, answered)
            return None
        if place:
            if place >= WINDOW_PARTS:
                # No part that has overtaken the first: this member has forgotten what it took.
                self._answer(sender, number, REFUSED)
            return None
        if number < newest:
            return None
        if self.receiving is not None:
            if self.receiving.term > term:
                return None
            self._drop(self.receiving)
        self.receiving = Receiving(sender, number, term)
        return self.receiving

    def _load(self, receiving: Receiving, max_parts: int) -> Message | None:
        for _ in range(max_parts):
            found = receiving.waiting.pop(receiving.taken, None)
            if found is None:
                break
            data, is_last = found
            if receiving.head is None:
                receiving.head = Message.from_wire(msgpack.unpackb(data))
            else:
                receiving.loader.feed(data)
            receiving.taken += 1
            self.received_parts += 1
            if is_last:
                self.receiving = None
                return self._complete(receiving.head, receiving.loader)
        return None

    def _complete(self, message: Message, loader: StateLoader) -> Message:
        snapshot = message.snapshot
        assert snapshot is not None, "the head is a snapshot message"
        view = StateView.of_loaded(loader.finish())
        message.snapshot = snapshot._replace(data=view)
        return message

    def _answer(self, sender: int, number: int, count: int) -> None:
        if number >= self._newest.get(sender, (0, 0))[0]:
            self._newest[sender] = number, count
        self._transport.send_peer(sender, [SNAPSHOT_TAKEN, number, count])

    def tick(self) -> None:
        """Drop what is not sent any further."""
        receiving = self.receiving
        if receiving is not None:
            receiving.silent_ticks += 1
            if receiving.silent_ticks >= 2 * GIVE_UP_TICKS:
                self._drop(receiving)

    def _drop(self, receiving: Receiving) -> None:
        self._newest[receiving.sender] = receiving.number, REFUSED
        self.receiving = None
