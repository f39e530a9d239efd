"""The client: which member to ask, when to ask again, when to give up.

Theory of operation. One *link* is current. It breaks, or its member is silent or without a leader:
then the next endpoint's turn comes, at once until all have been tried, after that with a growing
pause. What waits moves on with it, as far as it safely can:

=====================================  ==================  ==========================
what happened                          read                write
=====================================  ==================  ==========================
not sent yet                           sent on next link   sent on next link
refused before proposing (no leader)   tried again         tried again
connection lost after sending          tried again         `UnknownOutcomeError`
member does not know the outcome       tried again         `UnknownOutcomeError`
time is over, never sent               `UnavailableError`  `UnavailableError`
time is over, sent                     `UnavailableError`  `UnknownOutcomeError`
any other refusal                      `StoreError`        `StoreError`
=====================================  ==================  ==========================

Time is counted in ticks of one timer that runs only while something is under way, so a call costs
no timer; a timeout can come up to a tick late.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from raftstore.client.call import (
    CERTAIN,
    DEFAULT_TIMEOUT_NS,
    FATE_OPEN_CODES,
    NOT_PROPOSED,
    Call,
    OnError,
    OnFields,
)
from raftstore.client.connection import After, Dial
from raftstore.client.keepalive import KeepAlive
from raftstore.client.link import Link
from raftstore.client.login import Login
from raftstore.client.operations import Operations
from raftstore.client.sync import EndpointSync
from raftstore.client.watch import EventDecoder, EventStream, OnCancel, OnEvents, Watch
from raftstore.clock import Timer
from raftstore.errors import (
    TOO_MANY_REQUESTS,
    ClientClosedError,
    RaftStoreError,
    Status,
    StoreError,
    UnavailableError,
    UnknownOutcomeError,
)
from raftstore.wire import WatchCreateRequest

TICK_NS: Final = 100_000_000
# While only watches run, the timer comes this much less often.
IDLE_TICKS: Final = 10
BACKOFF_FIRST_NS: Final = 50_000_000
BACKOFF_MAX_NS: Final = 1_000_000_000
MAX_CALLS: Final = 100_000


class StoreClient(Operations):
    """A client of a store cluster; endpoints in order of preference.

    With `sync_ns` it asks the cluster so often who its members are, and uses their client addresses
    as its endpoints from then on: so it follows members that come and go (etcd: AutoSyncInterval).
    When none of them answers any more it tries the ones that it was given as well.

    All methods must be called in the turn (thread, task context) in which `dial`'s connections and
    `after` call back.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        dial: Dial,
        after: After,
        *,
        max_calls: int = MAX_CALLS,
        user: str = "",
        password: str = "",
        sync_ns: int = 0,
    ) -> None:
        assert endpoints, "a client needs an endpoint"
        self.endpoints = list(endpoints)
        self._given_endpoints = tuple(endpoints)
        self.dial = dial
        self.after = after
        self.tick = 0
        self.closed = False
        self.login = Login(self, user, password)
        # What the store has given for the password; sent with every request.
        self.token = ""
        self._max_calls = max_calls
        self._calls: dict[int, Call] = {}
        self._last_number = 0
        self._watches: dict[Watch, None] = {}
        self._decoder = EventDecoder()
        self.unpack = self._decoder.unpack
        self._turn = 0
        self._failures = 0
        self._leaderless = 0
        self._link: Link | None = None
        self._links: dict[Link, None] = {}
        self._waiting: list[Call] = []
        self._reconnect: Timer | None = None
        self._timer: Timer | None = None
        self._timer_ticks = 0
        self._sync = EndpointSync(self, sync_ns) if sync_ns else None

    @property
    def endpoint(self) -> str:
        """The endpoint whose turn it is."""
        return self.endpoints[self._turn % len(self.endpoints)]

    # What callers use

    def call_wire(
        self,
        op: str,
        fields: list[Any],
        on_fields: OnFields,
        on_error: OnError,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> None:
        """Send a request; exactly one of the callbacks is called, in a later turn."""
        if self.closed or len(self._calls) >= self._max_calls:
            error = ClientClosedError("closed") if self.closed else UnavailableError("overloaded")
            self.after(0, lambda: on_error(error))
            return
        self._last_number = number = self._last_number + 1
        deadline_tick = self.tick + 1 - (-timeout_ns // TICK_NS)
        call = Call(number, op, fields, on_fields, on_error, deadline_tick)
        self._calls[number] = call
        if self._timer_ticks != 1:
            self._arm()
        link = self._link
        if link is None:
            self._dispatch(call)
        else:
            link.submit(call)

    def watch(self, request: WatchCreateRequest, on_events: OnEvents, on_cancel: OnCancel) -> Watch:
        """Watch a range until cancelled; it moves from member to member by itself.

        `on_cancel` gets a `WatchCancelledError` if the store ends it (with `compact_revision` if
        history it needs is gone), or `ClientClosedError`.
        """
        watch = Watch(self, request, on_events, on_cancel)
        if self.closed:
            self.after(0, lambda: watch.fail(ClientClosedError("closed")))
            return watch
        self._watches[watch] = None
        link = self._current()
        if link is not None and link.ready:
            link.open_watch(watch)
        self._arm()
        return watch

    def events(self, request: WatchCreateRequest) -> EventStream:
        """A watch as an async iterator."""
        return EventStream(self, request)

    def keep_alive(self, lease_id: int, ttl_s: int, on_lost: Any) -> KeepAlive:
        """Renew a lease until stopped; `on_lost()` if it is gone or must be taken for it."""
        return KeepAlive(self, lease_id, ttl_s, on_lost)

    def close(self) -> None:
        """Close all connections; what waits fails."""
        if self.closed:
            return
        self.closed = True
        if self._sync is not None:
            self._sync.stop()
        for timer in (self._timer, self._reconnect):
            if timer is not None:
                timer.cancel()
        for link in list(self._links):
            link.close()
        self._links.clear()
        self._link = None
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if call.sent and not call.safe:
                call.on_error(UnknownOutcomeError("the client was closed before the answer came"))
            else:
                call.on_error(ClientClosedError("the client was closed"))
        for watch in list(self._watches):
            watch.link = None
            watch.fail(ClientClosedError("the client was closed"))

    def statistics(self) -> dict[str, int]:
        """Sizes, for metrics."""
        return {
            "calls": len(self._calls),
            "watches": len(self._watches),
            "links": len(self._links),
            "failures": self._failures,
        }

    # Sending

    def _dispatch(self, call: Call) -> None:
        if call.number not in self._calls:
            return
        link = self._current()
        if link is None:
            self._waiting.append(call)
        else:
            link.submit(call)

    def _current(self) -> Link | None:
        """The link to use; None while a pause before the next attempt runs."""
        if self._link is None and self._reconnect is None and not self.closed:
            self._connect()
        return self._link

    def _connect(self) -> None:
        self._reconnect = None
        link = Link(self, self.endpoint)
        if link.closed:
            return
        self._link = link
        self._links[link] = None
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if call.number in self._calls:
                link.submit(call)

    def _schedule_connect(self) -> None:
        if self.closed or self._reconnect is not None or self._link is not None:
            return
        rounds = self._failures - len(self.endpoints)
        delay_ns = 0
        if rounds >= 0:
            self.endpoints += [
                endpoint for endpoint in self._given_endpoints if endpoint not in self.endpoints
            ]
            delay_ns = min(BACKOFF_FIRST_NS << min(rounds, 10), BACKOFF_MAX_NS)
        self._reconnect = self.after(delay_ns, self._connect_if_needed)

    def _connect_if_needed(self) -> None:
        self._reconnect = None
        if not self.closed and self._link is None and (self._calls or self._watches):
            self._connect()

    # Called by links

    def accepts(self, link: Link, leader: int) -> bool:
        """A member answered the status request; without a leader, others are asked first."""
        if link is not self._link:
            return True
        if leader:
            self._leaderless = 0
        else:
            self._leaderless += 1
            if self._leaderless < len(self.endpoints):
                self._move_on(link)
                return False
            self._leaderless = 0
        self._failures = 0
        link.ready = True
        for watch in self._watches:
            if watch.link is None:
                link.open_watch(watch)
        return True

    def answered(self, link: Link, call: Call, payload: list[Any]) -> None:
        """An answer has come."""
        if payload[0] == 0:
            del self._calls[call.number]
            call.on_fields(payload[1])
            return
        status = Status(*payload)
        if self.login.takes(status):
            call.sent = False
            self.login.call_refused(call, status)
        elif status in NOT_PROPOSED:
            call.sent = False
            if status != TOO_MANY_REQUESTS and link is self._link and len(self.endpoints) > 1:
                self._move_on(link)
            self.retry(call)
        elif status.code in FATE_OPEN_CODES and call.safe:
            self.retry(call)
        else:
            del self._calls[call.number]
            if status.code in FATE_OPEN_CODES and status not in CERTAIN:
                call.on_error(UnknownOutcomeError(status.message))
            else:
                call.on_error(StoreError(*status))

    def link_broken(self, link: Link, reason: str) -> None:
        """A connection is gone, or was never made."""
        self._links.pop(link, None)
        if not link.retired:
            self._link = None
            self._turn += 1
            self._failures += 1
            self._schedule_connect()
        for watch in link.watches.values():
            watch.link = None
        self._waiting += link.queued
        for call in link.calls.values():
            if call.safe:
                self._waiting.append(call)
            else:
                del self._calls[call.number]
                call.on_error(UnknownOutcomeError(f"{link.endpoint}: {reason}"))
        self._requeue()

    def link_done(self, link: Link) -> None:
        """A retired link has closed."""
        self._links.pop(link, None)

    def watch_over(self, watch: Watch) -> None:
        """A watch has ended."""
        self._watches.pop(watch, None)
        if watch.link is not None:
            watch.link.close_watch(watch)

    def resumes_refused(self, watch: Watch, status: Status) -> bool:
        """Whether a watch that a member refused is opened again: with a token, or elsewhere."""
        refusing = watch.link
        needs_token = self.login.takes(status)
        if refusing is None or not (needs_token or status in NOT_PROPOSED):
            return False
        refusing.drop_watch(watch)
        link = self._link
        if needs_token:
            self.login.watch_refused(watch)
        elif link is not None and refusing is link and len(self.endpoints) > 1:
            # The member is a learner, or on its way out: it takes no watches, but another one will.
            self._move_on(link)
        else:
            self.reopen(watch)
        return True

    def use_endpoints(self, endpoints: Sequence[str]) -> None:
        """Use these from now on; the ones known already keep their places, in front."""
        known = [endpoint for endpoint in self.endpoints if endpoint in endpoints]
        fresh = [endpoint for endpoint in endpoints if endpoint not in known]
        if not known + fresh or known + fresh == self.endpoints:
            return
        link = self._link
        current = self.endpoint if link is None else link.endpoint
        self.endpoints = known + fresh
        if current in self.endpoints:
            self._turn = self.endpoints.index(current)
        elif link is not None:
            # It has not failed: those that are listed now have not been tried yet.
            self._failures = -1
            self._move_on(link)

    # Trying again

    def _move_on(self, link: Link) -> None:
        """Leave a member that is of no use; what it was asked already, it may still answer."""
        self._link = None
        self._turn += 1
        self._failures += 1
        self._waiting += link.queued
        link.queued = []
        link.retire()
        self._schedule_connect()

    def retry(self, call: Call) -> None:
        """Send a call again, after a pause that grows."""
        call.attempts += 1
        delay_ns = min(BACKOFF_FIRST_NS << min(call.attempts - 1, 10), BACKOFF_MAX_NS)
        self.after(delay_ns, lambda: self._dispatch(call))

    def give_up(self, call: Call, error: RaftStoreError) -> None:
        """Tell a call that waits that it cannot be carried out."""
        if self._calls.pop(call.number, None) is not None:
            call.on_error(error)

    def reopen(self, watch: Watch) -> None:
        """Open a watch again after a pause; if a link is made before, it does that."""

        def open_now() -> None:
            link = self._link
            if not watch.done and watch.link is None and link is not None and link.ready:
                link.open_watch(watch)

        self.after(BACKOFF_FIRST_NS, open_now)

    def _requeue(self) -> None:
        if self._waiting and self._link is not None:
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                self._dispatch(call)

    # Time

    def _arm(self) -> None:
        """See that the timer runs, and as often as is needed."""
        ticks = 1 if self._calls else IDLE_TICKS
        if self._timer is not None:
            if self._timer_ticks <= ticks:
                return
            self._timer.cancel()
        self._timer_ticks = ticks
        self._timer = self.after(ticks * TICK_NS, self._on_tick)

    def _on_tick(self) -> None:
        self.tick += self._timer_ticks
        self._timer = None
        self._timer_ticks = 0
        if self.closed:
            return
        tick = self.tick
        for call in [call for call in self._calls.values() if call.deadline_tick <= tick]:
            self._expire(call)
        for link in list(self._links):
            link.check_silence()
        if self._calls or self._watches:
            self._arm()

    def _expire(self, call: Call) -> None:
        if self._calls.pop(call.number, None) is None:
            return
        for link in list(self._links):
            link.forget(call)
        if call in self._waiting:
            self._waiting.remove(call)
        if call.sent and not call.safe:
            call.on_error(UnknownOutcomeError(f"{call.op} was not answered in time"))
        else:
            call.on_error(UnavailableError(f"no endpoint answered {call.op} in time"))
