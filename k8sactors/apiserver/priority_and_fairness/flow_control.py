"""Lets requests in by their flow, as the FlowSchemas and priority levels of the cluster say.

Which flow a request belongs to is found once for a user, a verb, a resource and a namespace, and
kept until the configuration changes. While every level has seats for all, that and two dict entries
are all that a request costs; what happens then is in `priority_level.py`. The seats are divided by
the levels' shares, and every ten seconds by their demand while seats are short.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Protocol

from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.authz.attributes import Attributes, of_request, own_namespace
from k8sactors.apiserver.cached_objects import CachedObjects
from k8sactors.apiserver.call import Call, Origin, ProxiedOrigin
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.max_in_flight import MaxInFlight
from k8sactors.apiserver.priority_and_fairness import work_estimate
from k8sactors.apiserver.priority_and_fairness.bootstrap_configuration import (
    FLOW_SCHEMAS,
    MANDATORY_LEVELS,
    MANDATORY_SCHEMAS,
    PRIORITY_LEVELS,
)
from k8sactors.apiserver.priority_and_fairness.concurrency_allocation import Claim, allocate
from k8sactors.apiserver.priority_and_fairness.matching import FlowSchema, hash_of, sorted_schemas
from k8sactors.apiserver.priority_and_fairness.priority_level import (
    UNLIMITED,
    Flow,
    Outlet,
    PriorityLevel,
)
from k8sactors.apiserver.watch_cache import WatchCache
from k8sactors.simulation import SECOND, Clock

DIVISION_INTERVAL_NS: Final = 10 * SECOND
WAIT_MAX_NS: Final = 60 * SECOND
# Flows that are remembered: of clients that come and go there is no end.
FLOWS_MAX: Final = 100_000
_PERCENT: Final = 100

# Namespace, resource, verb and subresource.
Key = tuple[str, str, str, str]


def flow_control(
    config: APIServerConfig, caches: Caches, clock: Clock, outlet: Outlet
) -> PriorityAndFairness | MaxInFlight:
    """The flow control that a server is configured with."""
    mutating, readonly = config.max_mutating_in_flight, config.max_readonly_in_flight
    if not config.enable_priority_and_fairness:
        return MaxInFlight(mutating, readonly)
    # As in the real server, a request waits for a quarter of the time that it may take.
    wait_ns = min(config.request_timeout_ns // 4, WAIT_MAX_NS)
    return PriorityAndFairness(caches, clock, outlet, seats=mutating + readonly, wait_ns=wait_ns)


class Caches(Protocol):
    """Where objects are cached (`feed.Feed`)."""

    def add_resource(self, resource: str) -> WatchCache:
        """The cache of a resource."""


class PriorityAndFairness:
    """The flow control of one server, which has so many seats."""

    def __init__(
        self, caches: Caches, clock: Clock, outlet: Outlet, *, seats: int, wait_ns: int
    ) -> None:
        self.seats = seats
        self.levels: dict[str, PriorityLevel] = {}
        self.schemas: list[FlowSchema] = []
        # The part of its target that each level got when the seats were divided last.
        self.fair_fraction = 0.0
        self._clock = clock
        self._outlet = outlet
        self._wait_ns = wait_ns
        self._accounting = False
        self._outdated = True
        # By the user's name and groups: flows by what is asked for.
        self._flows: dict[tuple[Any, ...], dict[Key, Flow]] = {}
        self._flow_count = 0
        # Requests of one connection share a user, and arrive together: its flows are at hand.
        self._last_user: UserInfo | None = None
        self._flows_of_last_user: dict[Key, Flow] = {}
        schemas, levels = caches.add_resource(FLOW_SCHEMAS), caches.add_resource(PRIORITY_LEVELS)
        self._schema_objects, self._level_objects = CachedObjects(schemas), CachedObjects(levels)
        for cache in (schemas, levels):
            cache.observers.append(self._outdate)

    # requests

    def enter(self, call: Call) -> bool:
        """Whether a call may be served now; else the outlet gets it later.

        Raises:
            StatusError: 429, there is no room for it.
        """
        if call.user is not self._last_user:
            self._switch_to(call.user)
        key = (call.namespace, call.resource.name, call.verb, call.subresource)
        flow = self._flows_of_last_user.get(key)
        if flow is None:
            flow = self._find(key, call)
        call.flow = flow
        if call.proxied is not None:
            call.proxied.flow_uids = flow.uids
        level = flow.level
        if call.verb == "list":
            self._estimate_list(call, level)
        seats = call.seats
        if level.in_use + seats <= level.limit and not level.accounting:
            level.in_use += seats
            level.executing[call] = None
            flow.schema.dispatched += 1
            return True
        self._account()
        return level.admit(call, *work_estimate.after_answer(call, level))

    def leave(self, call: Call) -> None:
        """A call was answered."""
        level: PriorityLevel = call.flow.level
        entry = level.executing.pop(call)
        if entry is None:
            level.in_use -= call.seats
        else:
            level.end(entry)

    def enter_other(self, request: OtherRequest, objects: int = 0) -> bool:
        """As `enter`; `objects` is how many it begins with."""
        request.flow = self._classify(request.attributes)
        request.flow_uids = request.flow.uids
        if request.proxied is not None:
            request.proxied.flow_uids = request.flow_uids
        level = request.flow.level
        if objects:
            request.seats = work_estimate.seats_of_list(objects, level)
        if level.in_use + request.seats <= level.limit and not level.accounting:
            level.in_use += request.seats
            level.executing[request] = None
            request.flow.schema.dispatched += 1
            return True
        self._account()
        return level.admit(request, 0, 0)

    def leave_other(self, request: OtherRequest) -> None:
        """It is under way, and is no longer counted."""
        request.flow.level.finish(request)

    def _estimate_list(self, call: Call, level: PriorityLevel) -> None:
        objects = len(call.resource.cache.entries)
        if objects and not work_estimate.is_of_one(call):
            call.seats = work_estimate.seats_of_list(objects, level)

    def in_flight(self, *, readonly: bool) -> int:
        """How many calls are served now."""
        return sum(
            isinstance(request, Call) and request.readonly == readonly
            for level in self.levels.values()
            for request in level.executing
        )

    @property
    def rejected(self) -> int:
        """How many requests were refused."""
        return sum(sum(level.rejected.values()) for level in self.levels.values())

    # flows

    def _switch_to(self, user: UserInfo) -> None:
        self._last_user = user
        self._flows_of_last_user = self._flows.setdefault((user.name, user.groups), {})

    def _forget_flows(self) -> None:
        self._flows.clear()
        self._flow_count = 0
        self._last_user = None

    def _find(self, key: Key, call: Call) -> Flow:
        info, flows = call.resource.info, self._flows_of_last_user
        asked = of_request(
            call.user, call.verb, info, call.namespace, call.name, call.subresource, {}
        )
        flow = self._classify(asked)
        if not own_namespace(info.group, info.plural, call.name):
            if self._flow_count + len(self._flows) >= FLOWS_MAX:
                self._forget_flows()
                self._switch_to(call.user)
                flows = self._flows_of_last_user
            self._flow_count += 1
            # Of this user, no matter who is served while the configuration is taken over.
            flows[key] = flow
        return flow

    def _classify(self, asked: Attributes) -> Flow:
        self.refresh()
        for schema in self.schemas:
            if schema.matches(asked):
                break
        else:
            # The mandatory schema of all users is the last one.
            schema = self.schemas[-1]
        distinguisher = schema.distinguisher(asked.user, asked.namespace)
        level = self.levels[schema.level_name]
        return Flow(schema, level, distinguisher, hash_of(schema.name, distinguisher))

    # configuration

    def _outdate(self) -> None:
        self._outdated = True
        self._forget_flows()

    def refresh(self) -> None:
        """Take over what has changed in the configuration."""
        if self._outdated:
            self._outdated = False
            self._configure()

    def _configure(self) -> None:
        """Take over the objects of the cluster, and the mandatory ones that are missing."""
        levels = {obj["metadata"]["name"]: obj for obj in self._level_objects.all()}
        for obj in MANDATORY_LEVELS:
            levels.setdefault(obj["metadata"]["name"], obj)
        schemas = {obj["metadata"]["name"]: obj for obj in self._schema_objects.all()}
        for obj in MANDATORY_SCHEMAS:
            schemas.setdefault(obj["metadata"]["name"], obj)
        for name, obj in levels.items():
            known = self.levels.get(name)
            if known is None:
                level = PriorityLevel(obj, self._clock, self._outlet, self._wait_ns)
                self.levels[name] = level
                if self._accounting:
                    level.begin_accounting()
            else:
                known.configure(obj)
                known.quiescing = False
        for name in [name for name in self.levels if name not in levels]:
            level = self.levels[name]
            level.quiescing = True
            if level.idle:
                del self.levels[name]
        counts = {schema.name: schema.dispatched for schema in self.schemas}
        self.schemas = [
            schema
            for schema in sorted_schemas(list(schemas.values()))
            if schema.level_name in levels
        ]
        for schema in self.schemas:
            schema.dispatched = counts.get(schema.name, 0)
        self._share_out()

    def _share_out(self) -> None:
        """Give each level its nominal seats."""
        levels = self.levels.values()
        total = sum(level.shares for level in levels) or 1
        for level in levels:
            level.nominal = math.ceil(self.seats * level.shares / total)
            lendable = round(level.nominal * level.lendable_percent / _PERCENT)
            level.least = level.nominal - lendable
            level.most = self.seats
            if level.borrowing_limit_percent is not None:
                borrowed = round(level.nominal * level.borrowing_limit_percent / _PERCENT)
                level.most = min(self.seats, level.nominal + borrowed)
            level.limit = UNLIMITED if level.exempt else level.nominal
        if self._accounting:
            for level in list(levels):
                level.dispatch()

    # when seats are short

    def _account(self) -> None:
        """Begin to do what costs something: some level is short of seats."""
        if self._accounting:
            return
        self._accounting = True
        for level in self.levels.values():
            level.begin_accounting()
        self._clock.after(DIVISION_INTERVAL_NS, self._divide)

    def _divide(self) -> None:
        """Divide the seats by the demand of the time since the last division."""
        now_ns = self._clock.now_ns()
        levels = list(self.levels.values())
        demands = {level.name: level.demand.end_period(now_ns) for level in levels}
        short = any(level.short or level.waiting for level in levels)
        for level in levels:
            level.short = False
        if not short:
            self._accounting = False
            for level in levels:
                level.accounting = False
            self._share_out()
            return
        exempt = sum(
            max(level.least, demands[level.name].highest) for level in levels if level.exempt
        )
        limited = [level for level in levels if not level.exempt]
        claims = [_claim(level, demands[level.name].highest) for level in limited]
        left = max(self.seats - exempt, 0)
        if sum(claim.lower for claim in claims) > left:
            claims = [
                Claim(max(claim.target, level.least), level.least, claim.upper)
                for level, claim in zip(limited, claims, strict=True)
            ]
        given, self.fair_fraction = allocate(left, claims)
        for level, seats in zip(limited, given, strict=True):
            level.limit = max(1, round(seats))
        for level in limited:
            level.dispatch()
        self._clock.after(DIVISION_INTERVAL_NS, self._divide)


def _claim(level: PriorityLevel, highest: int) -> Claim:
    """What a level needs, by its demand in the last period."""
    lower = float(max(level.least, min(level.nominal, highest)))
    upper = float(max(lower, level.most))
    return Claim(max(lower, level.demand.last.smoothed), lower, upper)


class OtherRequest:
    """A request that is no call: a watch that begins, or a page."""

    __slots__ = ("_run", "attributes", "flow", "flow_uids", "proxied", "refuse", "seats")

    def __init__(
        self,
        attributes: Attributes,
        run: Callable[[OtherRequest], None],
        refuse: Callable[[StatusError], None],
        origin: Origin | None = None,
    ) -> None:
        self.attributes = attributes
        self.refuse = refuse
        self._run = run
        self.proxied = origin if isinstance(origin, ProxiedOrigin) else None
        self.flow_uids: list[str] | None = None
        self.seats = 1
        self.flow: Flow

    def run(self) -> None:
        """Serve it."""
        self._run(self)
