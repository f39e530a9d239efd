"""Histories of a perfect store: what the checks must accept, and what planted defects start from.

No cluster runs here. Clients ask the reference store, in an order that a seed draws: between the
call and the return of a request lies one moment at which it takes effect, or several at which it
might have. Some requests get no answer and take effect early, late or never; some certainly fail;
leases expire; serializable reads come from a member that lags; watchers are told in pieces. The
requests are those of chaos campaigns (`store_mix`), and so is what is recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

from k8sactors.chaos.store.mix import KEYS, RequestMix
from k8sactors.checkers.committed_log import CommittedLog, LogEntry
from k8sactors.checkers.kv_history import History, Operation, Outcome, Refusal, Request
from k8sactors.checkers.kv_wire import Message, refused, to_message, to_outcome
from k8sactors.checkers.watch import Batch, Compaction, Stream, WatchHistory
from k8sactors.simulation import MILLISECOND, SECOND, Random, named_stream

LONGEST_STEP_NS = 10 * MILLISECOND
FAILED_SHARE = 0.02
"""Of all requests, those that certainly do nothing."""
LONGEST_DELAY_NS = 5 * SECOND
"""How late a request without an answer may take effect."""
LONGEST_LAG = 20
"""How many entries a member lags behind at most."""
MOST_PER_BATCH = 4
"""Of the changes that a watcher is told at once; never a part of a revision."""


@attrs.frozen
class Scenario:
    """How a history comes to be."""

    # How many requests are sent.
    operations: int
    # How many ask at the same time.
    clients: int = 5
    # The share of requests that get no answer.
    ambiguous: float = 0.05
    # That they share.
    keys: Sequence[str] = KEYS
    # What they ask for next to reads and writes of single keys (`store_mix`).
    features: Sequence[str] = ()
    # How many there are.
    watchers: int = 3


@attrs.frozen
class GeneratedHistory:
    """A sound history, the log that it comes from, and what watchers were told meanwhile."""

    history: History
    committed: CommittedLog
    watches: WatchHistory


@attrs.define(eq=False)
class _Client:
    """One client: what it asked, and what it will be told; nothing yet while `outcome` is None."""

    mix: RequestMix
    operation: Operation | None = None
    answer: tuple[Outcome, list[Any] | None] | None = None


def generate_history(scenario: Scenario, seed: int) -> GeneratedHistory:
    """Make one; the same scenario and seed make the same."""
    return _Maker(scenario, named_stream(seed, "made history")).run()


class _Maker:
    """The perfect store and its clients."""

    def __init__(self, scenario: Scenario, random: Random) -> None:
        self.scenario = scenario
        self.random = random
        self.now_ns = 0
        self.history = History()
        self.committed = CommittedLog()
        self.ends_ns: dict[int, int] = {}
        self.late: deque[tuple[int, Message]] = deque()
        self.names = 0
        self.clients = [_Client(self._new_mix()) for _ in range(scenario.clients)]

    def _new_mix(self) -> RequestMix:
        """A client that hears nothing gives up; another one comes in its place."""
        self.names += 1
        scenario = self.scenario
        return RequestMix(
            f"client-{self.names}",
            self.history,
            scenario.features,
            self.random.choice((0.3, 0.5, 0.7)),
            scenario.keys,
        )

    def run(self) -> GeneratedHistory:
        """Let every client ask until all is asked and answered."""
        asked, random = 0, self.random
        busy: list[_Client] = list(self.clients)
        while busy:
            self.now_ns += random.randrange(1, LONGEST_STEP_NS)
            self._let_time_work()
            client = random.choice(busy)
            if client.operation is None:
                if asked == self.scenario.operations:
                    busy.remove(client)
                    continue
                asked += 1
                request = client.mix.draw(random)
                client.operation = self.history.invoke(client.mix.name, request, self.now_ns)
                if random.random() < self.scenario.ambiguous:
                    self._give_up(client)
                elif random.random() < FAILED_SHARE:
                    self.history.discard(client.operation)
                    client.operation = None
            elif client.answer is None:
                client.answer = self._serve(client.operation.request)
            else:
                outcome, answer = client.answer
                self.history.complete(client.operation, outcome, self.now_ns, answer)
                if outcome.refusal is Refusal.LEASE_NOT_FOUND or outcome.results == (0,):
                    client.mix.lost(client.operation.request.success[0].lease)
                client.operation = client.answer = None
        return GeneratedHistory(self.history, self.committed, self._watches())

    def _give_up(self, client: _Client) -> None:
        """No answer will come; what was asked may happen at once, later or never."""
        assert client.operation is not None
        message = to_message(client.operation.request, "")
        fate = self.random.randrange(3)
        if message.op in ("range", "lease_keep_alive"):
            self._serve(client.operation.request)
        elif fate == 1:
            self._append(message)
        elif fate == 2:  # noqa: PLR2004 - the last of three
            self.late.append((self.now_ns + self.random.randrange(LONGEST_DELAY_NS), message))
        client.operation = None
        client.mix = self._new_mix()

    def _let_time_work(self) -> None:
        while self.late and self.late[0][0] <= self.now_ns:
            self._append(self.late.popleft()[1])
        for lease, end_ns in list(self.ends_ns.items()):
            # An end is seen some time after it is due.
            if end_ns <= self.now_ns and self.random.random() < 0.1:  # noqa: PLR2004 - some time
                self._log("lease_revoke", [lease])

    # -- the store ------------------------------------------------------------------------------

    def _serve(self, request: Request) -> tuple[Outcome, list[Any] | None]:
        message = to_message(request, "")
        if message.op == "range":
            return self._read(request, message.to_wire())
        if message.op == "lease_keep_alive":
            return self._renew(request, message.to_wire())
        return self._append(message, request)

    def _append(
        self, message: Message, request: Request | None = None
    ) -> tuple[Outcome, list[Any] | None]:
        fields = message.to_wire()
        self._log(message.op, fields)
        reply = self.committed.replies[-1]
        assert reply is not None, "clients ask for nothing else"
        if reply.refusal is not None:
            outcome = refused(reply.refusal)
            assert outcome is not None, "clients ask for nothing that is refused otherwise"
            return outcome, None
        if message.op == "lease_grant":
            self.ends_ns[reply.fields[0]] = self.now_ns + reply.fields[1] * SECOND
        answer = [[0, 0, reply.revision, 0], *reply.fields]
        return Outcome() if request is None else to_outcome(request, answer, ""), answer

    def _log(self, op: str, fields: Sequence[Any]) -> None:
        place = len(self.committed.entries) + 1
        self.committed.extend((LogEntry(place, self.now_ns, op, fields),))
        if op == "lease_revoke":
            self.ends_ns.pop(fields[0], None)

    def _read(self, request: Request, fields: list[Any]) -> tuple[Outcome, list[Any] | None]:
        committed, place = self.committed, len(self.committed.entries)
        if request.serializable:
            place = max(0, place - self.random.randrange(LONGEST_LAG))
        revision = committed.revisions[place]
        if request.revision > revision:
            return Outcome(refusal=Refusal.FUTURE_REVISION), None
        if request.revision and committed.forgotten_from(request.revision) <= place:
            return Outcome(refusal=Refusal.COMPACTED), None
        answer = [[0, 0, revision, 0], *committed.store.read(fields, revision)]
        return to_outcome(request, answer, ""), answer

    def _renew(self, request: Request, fields: list[Any]) -> tuple[Outcome, list[Any] | None]:
        lease = fields[0]
        ttl_s = 0
        if self.ends_ns.get(lease, 0) > self.now_ns:
            ttl_s = self.committed.lives[lease].ttl_s
            self.ends_ns[lease] = self.now_ns + ttl_s * SECOND
        answer = [[0, 0, self.committed.store.revision, 0], lease, ttl_s]
        return to_outcome(request, answer, ""), answer

    # -- watchers -------------------------------------------------------------------------------

    def _watches(self) -> WatchHistory:
        committed = self.committed
        compactions = [
            Compaction(time_ns, revision) for time_ns, revision in committed.compactions()
        ]
        log = committed.store.changes
        streams = [self._stream(number) for number in range(self.scenario.watchers)]
        return WatchHistory(log, streams, compactions)

    def _stream(self, number: int) -> Stream:
        """What one watcher is told, after it all has happened."""
        random, store = self.random, self.committed.store
        stream = Stream(
            f"watcher-{number}",
            random.randint(2, 2 + store.revision // 2),
            random.choice(("", *self.scenario.keys)),
            with_previous=random.random() < 0.5,  # noqa: PLR2004 - half of them
            without=random.choice(((), (), ("PUT",), ("DELETE",))),
            due=store.revision,
        )
        time_ns, told = self.now_ns, stream.start_revision - 1
        while told < store.revision:
            time_ns += random.randrange(1, LONGEST_STEP_NS)
            first, told = told + 1, min(told + random.randint(1, MOST_PER_BATCH), store.revision)
            changes = tuple(
                change if stream.with_previous else attrs.evolve(change, previous=None)
                for change in store.changes
                if first <= change.revision <= told and stream.wants(change)
            )
            if changes or random.random() < 0.1:  # noqa: PLR2004 - progress is told now and then
                stream.batches.append(Batch(time_ns, changes, told))
        return stream
