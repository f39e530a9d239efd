"""Every answer and every entry of the log, held against each other.

The harness knows the log that the members agreed on. Replayed through a reference store
(`reference`) it says what every write must have been answered, and what every read may have been.
So the only thing to find out for an answer is its *place*: a write's is that of its entry; a read's
is behind so many entries. An answer is right if it has a place where the reference store gives it,
and where real time allows it: at or behind the places of everything that was answered before it was
asked for, and not behind what any member had applied when it was answered. Answers are gone through
in order of time and each takes the first place that it can, which leaves the most room to those
that follow: nothing is guessed, and the work is linear.

The other way round, everything in the log must have been asked for, and as often as it stands
there: a request that certainly failed stands there never, any other at most once. A lease that
no client revoked may end only when its time is over.

`linearizability` finds out the same without the log; each of the two is a test of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import attrs
import msgpack

from k8sactors.checkers.committed_log import CommittedLog
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kv_history import Operation, Outcome, Refusal, show_outcome
from k8sactors.checkers.kv_partition import expiries_ns
from k8sactors.checkers.kv_wire import refused, to_message, to_outcome
from k8sactors.checkers.reference import RefusedError

# The log says something else than the client was told.
ANSWER = "exact-answer"
# What the client was told was true, but not at that time.
ORDER = "exact-order"
# The log lacks what was acknowledged, or holds what should not be there.
LOG = "exact-log"
# A lease ended before its time.
LEASE = "exact-lease"

# Of each kind: when one answer is wrong, many are.
MOST_FINDINGS = 3

_pack = msgpack.Packer(autoreset=True).pack


@attrs.define
class Exact:
    """What the check found."""

    # Some of each kind.
    findings: list[Finding] = attrs.field(factory=list)
    # The operations that the findings are about.
    blamed: list[Operation] = attrs.field(factory=list)

    def add(self, check: str, message: str, time_ns: int, operation: Operation | None) -> None:
        """Note a finding, unless there are enough of its kind."""
        if sum(each.check == check for each in self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(check, message, time_ns))
            if operation is not None:
                self.blamed.append(operation)


def check_exactly(
    committed: CommittedLog,
    operations: Sequence[Operation],
    discarded: Sequence[Operation] = (),
    *,
    prefix: str = "",
    trust_clocks: bool = True,
) -> Exact:
    """Hold a history against the log that it comes from.

    Args:
        committed: the log, replayed.
        operations: the history, in any order.
        discarded: requests that were certainly never carried out.
        prefix: where in the store the keys of the history lie.
        trust_clocks: whether members' clocks run at the rate of the recorder's.
    """
    return _Check(committed, operations, discarded, prefix, trust_clocks=trust_clocks).run()


@attrs.define
class _Asked:
    """An operation with what can be said of it before it has a place."""

    operation: Operation
    op: str
    fields: list[Any]
    floor: int = 0

    @property
    def outcome(self) -> Outcome:
        """What was told."""
        assert self.operation.outcome is not None, "it has an answer"
        return self.operation.outcome


@attrs.frozen
class _Window:
    """Places, both ends included; none if the first is greater."""

    first: int
    last: int

    def within(self, first: int, last: int) -> _Window:
        """What is left of it between two more limits."""
        return _Window(max(self.first, first), min(self.last, last))

    def __bool__(self) -> bool:
        return self.first <= self.last


class _Check:
    """One run over one history."""

    def __init__(
        self,
        committed: CommittedLog,
        operations: Sequence[Operation],
        discarded: Sequence[Operation],
        prefix: str,
        *,
        trust_clocks: bool,
    ) -> None:
        self.committed = committed
        self.prefix = prefix
        self.trust_clocks = trust_clocks
        self.result = Exact()
        self.asked = [self._asked(operation) for operation in operations]
        self.discarded = [self._asked(operation) for operation in discarded]
        self.ends_ns = {lease: until_ns for lease, (_, until_ns) in expiries_ns(operations).items()}
        """Until when each lease must live, as far as clients know."""
        self.free: dict[bytes, list[int]] = {}
        """Entries that no answer has taken yet, by what they ask for."""
        for place, entry in enumerate(committed.entries):
            self.free.setdefault(_pack((entry.op, entry.fields)), []).append(place)

    def _asked(self, operation: Operation) -> _Asked:
        message = to_message(operation.request, self.prefix)
        return _Asked(operation, message.op, message.to_wire())

    def run(self) -> Exact:
        """Give every answer its place, then see what is left in the log."""
        events: list[tuple[int, bool, _Asked]] = []
        for each in self.asked:
            events.append((each.operation.call_order, False, each))
            if each.operation.return_order is not None:
                events.append((each.operation.return_order, True, each))
        events.sort(key=lambda event: event[:2])
        floor = 0
        for _, is_return, each in events:
            if is_return:
                floor = max(floor, self._place(each))
            else:
                each.floor = floor
        self._account_for_rest()
        return self.result

    def _place(self, each: _Asked) -> int:
        """Find the place of an answer; returns how many entries a later answer must see."""
        if each.op == "range":
            return self._place_read(each)
        if each.op == "lease_keep_alive":
            return self._place_renewal(each)
        return self._place_write(each)

    def _blame(self, check: str, each: _Asked, message: str) -> int:
        operation = each.operation
        self.result.add(check, f"{operation}: {message}", operation.returned_ns or 0, operation)
        return 0

    # -- writes, and whatever else goes through the log -----------------------------------------

    def _place_write(self, each: _Asked) -> int:
        free = self.free.get(_pack((each.op, each.fields)), [])
        if not free:
            return self._blame(LOG, each, "it was answered, but stands nowhere in the log")
        matching = [place for place in free if self._tells(each, place)]
        if not matching:
            return self._blame(ANSWER, each, self._said(each, free.pop(0)))
        operation = each.operation
        window = _Window(
            max(each.floor, self.committed.applied_before(operation.called_ns)),
            self.committed.applied_by(operation.returned_ns or 0) - 1,
        )
        for place in matching:
            if window.first <= place <= window.last:
                free.remove(place)
                return place + 1
        free.remove(matching[0])
        entry = self.committed.entries[matching[0]]
        message = f"entry {entry.index} of the log, at {_seconds(entry.time_ns)}, cannot have been"
        return self._blame(
            ORDER, each, f"{message} between its call and its answer: {self._limits(window)}"
        )

    def _tells(self, each: _Asked, place: int) -> bool:
        """Whether the entry at this place gives the answer."""
        reply = self.committed.replies[place]
        outcome = each.outcome
        if reply is None:
            return False
        if reply.refusal is not None:
            return refused(reply.refusal) == outcome
        answer = each.operation.answer
        if answer is not None and _pack(answer[1:]) != _pack(reply.fields):
            return False
        due = to_outcome(
            each.operation.request, [[0, 0, reply.revision, 0], *reply.fields], self.prefix
        )
        return _same(due, outcome)

    def _said(self, each: _Asked, place: int) -> str:
        entry, reply = self.committed.entries[place], self.committed.replies[place]
        if reply is None or reply.refusal is not None:
            said = "refusal" if reply is None or reply.refusal is None else reply.refusal.message
        else:
            said = f"{reply.fields} at revision {reply.revision}"
        return (
            f"at revision {each.outcome.revision}, but entry {entry.index} of the log says {said}"
        )

    # -- reads ----------------------------------------------------------------------------------

    def _place_read(self, each: _Asked) -> int:
        committed, operation, outcome = self.committed, each.operation, each.outcome
        request = operation.request
        floor = 0 if request.serializable else each.floor
        window = _Window(floor, committed.applied_by(operation.returned_ns or 0))
        told = _Window(0, len(committed.entries))
        if outcome.revision is not None:
            told = _Window(*committed.places_of(outcome.revision))
        wanted = request.revision
        if wanted:
            begins, forgotten = committed.begins(wanted), committed.forgotten_from(wanted)
            if outcome.refusal is Refusal.FUTURE_REVISION:
                told = told.within(0, begins - 1)
            elif outcome.refusal is Refusal.COMPACTED:
                told = told.within(forgotten, len(committed.entries))
            else:
                told = told.within(begins, forgotten - 1)
        if not told:
            return self._blame(ANSWER, each, "there was no such moment")
        possible = told.within(window.first, window.last)
        if outcome.refusal is None:
            matching = self._first_match(each, possible or told)
            if matching is None:
                due = self._due(each, (possible or told).first)
                return self._blame(ANSWER, each, f"the log says {due}")
            possible = possible.within(matching, possible.last)
        if not possible:
            return self._blame(ORDER, each, f"that was so at another time: {self._limits(window)}")
        return 0 if request.serializable else possible.first

    def _first_match(self, each: _Asked, window: _Window) -> int | None:
        """The first place where the answer is right."""
        committed, place = self.committed, window.first
        while place <= window.last:
            revision = committed.revisions[place]
            answer = each.operation.answer
            fields = self._read(each, revision)
            if fields is not None and (answer is None or _pack(answer[1:]) == _pack(fields)):
                due = to_outcome(
                    each.operation.request, [[0, 0, revision, 0], *fields], self.prefix
                )
                if _same(due, each.outcome):
                    return place
            place = committed.places_of(revision)[1] + 1
        return None

    def _read(self, each: _Asked, revision: int) -> list[Any] | None:
        try:
            return self.committed.store.read(each.fields, revision)
        except RefusedError:
            return None

    def _due(self, each: _Asked, place: int) -> str:
        revision = self.committed.revisions[place]
        fields = self._read(each, revision)
        if fields is None:
            return "that revision is in the future"
        due = to_outcome(each.operation.request, [[0, 0, revision, 0], *fields], self.prefix)
        shown = Operation("", each.operation.request, 0, outcome=due)
        told = "" if show_outcome(shown) != show_outcome(each.operation) else f" in full: {fields}"
        return f"{show_outcome(shown)}{told}, at revision {revision}"

    # -- leases ---------------------------------------------------------------------------------

    def _place_renewal(self, each: _Asked) -> int:
        committed, operation, outcome = self.committed, each.operation, each.outcome
        (lease,) = each.fields
        (told_s,) = outcome.results
        window = _Window(each.floor, committed.applied_by(operation.returned_ns or 0))
        places = _Window(0, len(committed.entries))
        if outcome.revision is not None:
            places = _Window(*committed.places_of(outcome.revision))
        life = committed.lives.get(lease)
        lives = _Window(0, -1) if life is None else _Window(life.granted, life.ended)
        if told_s:
            if life is None or told_s != life.ttl_s:
                said = "there was no such lease" if life is None else f"it lives {life.ttl_s} s"
                return self._blame(ANSWER, each, f"the log says {said}")
            places = places.within(lives.first, lives.last)
        possible = places.within(window.first, window.last)
        if not possible:
            return self._blame(ORDER, each, f"that was so at another time: {self._limits(window)}")
        if not told_s and self.trust_clocks and lives.first <= possible.first:
            early = possible.last <= lives.last and self.ends_ns.get(lease, 0)
            if early and (operation.returned_ns or 0) < early:
                return self._blame(LEASE, each, f"it must live until {_seconds(early)}")
        return possible.first

    # -- what is left in the log ----------------------------------------------------------------

    def _account_for_rest(self) -> None:
        """Every entry that no answer has taken needs a request whose outcome is unknown."""
        doubtful: dict[bytes, list[_Asked]] = {}
        for each in self.asked:
            if each.operation.is_unknown:
                doubtful.setdefault(_pack((each.op, each.fields)), []).append(each)
        answered = {_pack((each.op, each.fields)) for each in self.asked}
        failed = {_pack((each.op, each.fields)): each for each in self.discarded}
        for content, places in self.free.items():
            perhaps = doubtful.get(content, [])
            for place in places:
                entry = self.committed.entries[place]
                early = (o for o in perhaps if o.operation.called_ns <= entry.time_ns)
                cause = next(early, None)
                if cause is not None:
                    perhaps.remove(cause)
                elif entry.op == "lease_revoke":
                    self._expired(place)
                elif content in failed and self._was_refused(place):
                    continue
                elif content in failed:
                    each = failed[content]
                    self._unasked(place, f"which certainly failed: {each.operation}", each)
                elif content in answered:
                    self._unasked(place, "once more than it was asked for")
                elif self._is_ours(entry.fields):
                    self._unasked(place, "which no client asked for")

    def _was_refused(self, place: int) -> bool:
        reply = self.committed.replies[place]
        return reply is not None and reply.refusal is not None

    def _unasked(self, place: int, what: str, each: _Asked | None = None) -> None:
        entry = self.committed.entries[place]
        message = f"entry {entry.index} of the log is {entry.op} {entry.fields}, {what}"
        self.result.add(LOG, message, entry.time_ns, None if each is None else each.operation)

    def _expired(self, place: int) -> None:
        """A member ended a lease by itself."""
        entry = self.committed.entries[place]
        lease = entry.fields[0]
        reply = self.committed.replies[place]
        until_ns = self.ends_ns.get(lease, 0)
        if self.trust_clocks and entry.time_ns < until_ns and reply and not reply.refusal:
            message = (
                f"entry {entry.index} of the log ends lease {lease:x} at"
                f" {_seconds(entry.time_ns)}, but it must live until {_seconds(until_ns)}"
            )
            self.result.add(LEASE, message, entry.time_ns, None)

    def _is_ours(self, fields: Sequence[Any]) -> bool:
        """Whether a transaction writes where only the clients of the history write."""
        prefix = self.prefix.encode()
        return any(key.startswith(prefix) for key in _written(fields))

    def _limits(self, window: _Window) -> str:
        """What real time allows, in words."""
        first, last = (
            min(place, len(self.committed.entries)) for place in (window.first, window.last)
        )
        revisions = self.committed.revisions
        return (
            f"an earlier answer told of revision {revisions[first]}, and the newest was"
            f" {revisions[max(0, last)]}"
        )


def _written(fields: Sequence[Any]) -> Iterator[bytes]:
    """The keys that a transaction names in its writes."""
    if len(fields) == 3 and isinstance(fields[1], list):  # noqa: PLR2004 - those of a TxnRequest
        for _, operation in chain(fields[1], fields[2]):
            if operation and isinstance(operation[0], bytes):
                yield operation[0]


def _same(due: Outcome, told: Outcome) -> bool:
    """Whether the outcomes agree; what was not recorded agrees with everything."""
    return (
        told.refusal is None
        and due.succeeded == told.succeeded
        and due.results == told.results
        and told.revision in (None, due.revision)
    )


def _seconds(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3f} s"
