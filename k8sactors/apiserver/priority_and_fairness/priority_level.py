"""A priority level: its seats, who holds them, and what happens to a request that finds none.

As long as there are seats for all, a request costs a comparison and an entry in a dict. With the
first request that finds none, in any level of the server, accounting begins in all of them
(`begin_accounting`): from then on requests go through the queues as in the real server, and the
demand for seats is summed up, until nothing has waited for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from k8sactors.api.errors import StatusError, too_many_requests
from k8sactors.apiserver.priority_and_fairness.bootstrap_configuration import EXEMPT, QUEUE
from k8sactors.apiserver.priority_and_fairness.matching import FlowSchema
from k8sactors.apiserver.priority_and_fairness.queue_set import Entry, QueueSet
from k8sactors.apiserver.priority_and_fairness.retry_after import RetryAfter
from k8sactors.apiserver.priority_and_fairness.seat_demand import SeatDemand
from k8sactors.apiserver.priority_and_fairness.wait_times import WaitTimes
from k8sactors.simulation import SECOND, Clock

QUEUE_FULL: Final = "queue-full"
CONCURRENCY_LIMIT: Final = "concurrency-limit"
TIME_OUT: Final = "time-out"
# More seats than any server has.
UNLIMITED: Final = 1 << 40
_DEFAULT_SHARES: Final = 30


class Flow:
    """A flow: requests of one schema that are not told apart by its distinguisher."""

    __slots__ = ("distinguisher", "hash", "level", "schema", "uids")

    def __init__(
        self, schema: FlowSchema, level: PriorityLevel, distinguisher: str, flow_hash: int
    ) -> None:
        self.schema = schema
        self.level = level
        self.distinguisher = distinguisher
        self.hash = flow_hash
        # Of the schema and the level, as a client is told them.
        self.uids = [schema.uid, level.uid]


class FlowRequest(Protocol):
    """What a level needs to know of a request."""

    # Whom it belongs to, and what it holds; set when it enters.
    flow: Flow
    seats: int


class Outlet(Protocol):
    """Where requests go that have waited."""

    def resume(self, request: Any) -> None:
        """Serve a request."""

    def reject(self, request: Any, error: StatusError) -> None:
        """Answer that it cannot be served."""


class PriorityLevel:
    """A priority level of one server."""

    def __init__(self, obj: Mapping[str, Any], clock: Clock, outlet: Outlet, wait_ns: int) -> None:
        self.name: str = obj["metadata"]["name"]
        # Seats: those it has now, its nominal share, and between which bounds it may be given some.
        self.limit = self.nominal = self.least = self.most = 0
        self.in_use = 0
        self.executing: dict[Any, Entry | None] = {}
        self.waiting = 0
        self.waiting_seats = 0
        self.accounting = False
        # Whether a request has waited since the seats were divided last.
        self.short = False
        # Whether its object is gone: it ends with its last request.
        self.quiescing = False
        self.demand = SeatDemand()
        self.retry_after = RetryAfter()
        # By schema and reason.
        self.rejected: dict[tuple[str, str], int] = {}
        self.waits = WaitTimes()
        self.queues: QueueSet | None = None
        self._clock = clock
        self._outlet = outlet
        self._wait_ns = wait_ns
        self._dispatching = False
        self.configure(obj)

    def configure(self, obj: Mapping[str, Any]) -> None:
        """Take over the object of this level, which may have changed."""
        spec = obj["spec"]
        self.uid: str = obj["metadata"].get("uid", "")
        self.exempt = spec.get("type") == EXEMPT
        part = spec.get("exempt" if self.exempt else "limited") or {}
        default = 0 if self.exempt else _DEFAULT_SHARES
        shares = part.get("nominalConcurrencyShares")
        self.shares: int = default if shares is None else shares
        self.lendable_percent: int = part.get("lendablePercent") or 0
        # None: it may borrow all that others lend.
        self.borrowing_limit_percent: int | None = part.get("borrowingLimitPercent")
        response = part.get("limitResponse") or {}
        queuing = response.get("queuing") if response.get("type") == QUEUE else None
        wanted = None
        if queuing is not None and not self.exempt:
            wanted = (queuing["queues"], queuing["handSize"], queuing["queueLengthLimit"])
        if wanted != self._form_of_queues():
            self._replace_queues(wanted)

    def _form_of_queues(self) -> tuple[int, int, int] | None:
        queues = self.queues
        if queues is None:
            return None
        return len(queues.queues), queues.hand_size, queues.length_limit

    def _replace_queues(self, form: tuple[int, int, int] | None) -> None:
        """Other queues; what waits moves there, in the order of its arrival."""
        old, self.queues = self.queues, None if form is None else QueueSet(*form)
        for entry in [*self.executing.values()]:
            if entry is not None:
                self._place(entry, executing=True)
        if old is None:
            return
        for entry in sorted(old.waiting(), key=lambda entry: entry.arrived_ns):
            if self.queues is not None:
                self._place(entry, executing=False)
            else:
                self._leave_queue(entry)
                self._reject(entry.request, CONCURRENCY_LIMIT, entry)

    def _place(self, entry: Entry, *, executing: bool) -> None:
        entry.queue = None
        if self.queues is not None:
            queue = self.queues.choose(entry.request.flow.hash)
            (self.queues.adopt if executing else self.queues.enqueue)(entry, queue)

    # While there are seats for all

    @property
    def idle(self) -> bool:
        """Whether there is no request."""
        return not self.executing and not self.waiting

    def begin_accounting(self) -> None:
        """Put the requests that are served into queues, and begin to sum up the demand."""
        self.accounting = True
        now_ns = self._clock.now_ns()
        self._synchronize(now_ns)
        for request, known in self.executing.items():
            if known is None:
                entry = Entry(request, request.seats, 0, 0, now_ns, None, 0, now_ns, started=True)
                self.executing[request] = entry
                self._place(entry, executing=True)
        self.demand.start(self.in_use + self.waiting_seats, now_ns)

    # While seats are short

    def admit(self, request: Any, final_seats: int, extra_ns: int) -> bool:
        """Whether a request begins now; else it waits.

        Raises:
            StatusError: 429, it can do neither.
        """
        now_ns = self._clock.now_ns()
        self._synchronize(now_ns)
        entry = Entry(request, request.seats, final_seats, extra_ns, now_ns)
        queues = self.queues
        if queues is None:
            if not self.exempt and not self._has_room(entry):
                self.short = True
                raise self._rejection(request, CONCURRENCY_LIMIT, 0)
            self._start(entry, now_ns)
            return True
        queue = queues.choose(request.flow.hash)
        if self.in_use >= self.limit and len(queue.waiting) >= queues.length_limit:
            self.short = True
            raise self._rejection(request, QUEUE_FULL, 0)
        queues.enqueue(entry, queue)
        self.waiting += 1
        self.waiting_seats += entry.most_seats
        self.dispatch()
        entry.entering = False
        if not entry.started:
            self.short = True
            entry.timer = self._clock.after(self._wait_ns, lambda: self._time_out(entry))
            self._note_demand(now_ns)
        return entry.started

    def finish(self, request: Any) -> None:
        """A request was answered."""
        entry = self.executing.pop(request)
        if entry is None:
            self.in_use -= request.seats
        else:
            self.end(entry)

    def end(self, entry: Entry) -> None:
        """A request that was accounted for was answered; it is executing no longer."""
        if entry.extra_ns:
            self._clock.after(entry.extra_ns, lambda: self._release(entry))
        else:
            self._release(entry)

    def _release(self, entry: Entry) -> None:
        now_ns = self._clock.now_ns()
        self._synchronize(now_ns)
        self.in_use -= entry.most_seats
        if self.queues is not None:
            self.queues.finish(entry, now_ns)
        self._note_demand(now_ns)
        self.dispatch()

    def dispatch(self) -> None:
        """Begin all that there are seats for."""
        queues = self.queues
        if queues is None or self._dispatching:
            # Serving one may end it at once: the loop below sees the seats that are free then.
            return
        self._dispatching = True
        try:
            while self.waiting and self.in_use < self.limit:
                entry = queues.first()
                if entry is None or not self._has_room(entry):
                    break
                queues.dispatch(entry)
                self._leave_queue(entry)
                now_ns = self._clock.now_ns()
                self._start(entry, now_ns)
                if not entry.entering:
                    schema_name = entry.request.flow.schema.name
                    self.waits.note(schema_name, True, now_ns - entry.arrived_ns)
                    self._outlet.resume(entry.request)
        finally:
            self._dispatching = False

    def _has_room(self, entry: Entry) -> bool:
        # A request that is wider than the level runs alone.
        return self.in_use == 0 or self.in_use + entry.most_seats <= self.limit

    def _start(self, entry: Entry, now_ns: int) -> None:
        entry.started, entry.started_ns = True, now_ns
        self.in_use += entry.most_seats
        self.executing[entry.request] = entry
        entry.request.flow.schema.dispatched += 1
        self._note_demand(now_ns)

    def _time_out(self, entry: Entry) -> None:
        if entry.started or self.queues is None:
            return
        self._synchronize(self._clock.now_ns())
        entry.timer = None
        self.queues.remove(entry)
        self._leave_queue(entry)
        self._reject(entry.request, TIME_OUT, entry)
        self._note_demand(self._clock.now_ns())
        self.dispatch()

    def _leave_queue(self, entry: Entry) -> None:
        self.waiting -= 1
        self.waiting_seats -= entry.most_seats
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None

    def _reject(self, request: Any, reason: str, entry: Entry) -> None:
        waited_ns = self._clock.now_ns() - entry.arrived_ns
        self._outlet.reject(request, self._rejection(request, reason, waited_ns))

    def _rejection(self, request: Any, reason: str, waited_ns: int) -> StatusError:
        schema_name = request.flow.schema.name
        self.retry_after.note(self._clock.now_ns() // SECOND)
        self.rejected[schema_name, reason] = self.rejected.get((schema_name, reason), 0) + 1
        self.waits.note(schema_name, False, waited_ns)
        text = "Too many requests, please try again later."
        return too_many_requests(text, self.retry_after.seconds)

    def _synchronize(self, now_ns: int) -> None:
        if self.queues is not None:
            self.queues.synchronize(now_ns, min(self.in_use + self.waiting_seats, self.limit))

    def _note_demand(self, now_ns: int) -> None:
        if self.accounting:
            self.demand.set(self.in_use + self.waiting_seats, now_ns)
