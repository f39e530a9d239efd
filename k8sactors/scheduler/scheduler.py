"""The scheduler as an actor: informers in, bindings out.

Every instance follows what its plugins wait for, so that a standby knows all when it takes over;
only the leader places pods. It does so at the end of each turn: by then queue and cache know all
that the batch of messages brought, and all bindings of the turn leave in one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from k8sactors.actors import Actor, Message
from k8sactors.api.protocol import HEALTH, HEALTH_RESPONSE
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, EventRecorder, InformerFactory, LeaderElector
from k8sactors.scheduler.api_writer import ApiWriter
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.cycle import SchedulingCycle
from k8sactors.scheduler.decision import DecisionEngine
from k8sactors.scheduler.errors import ConfigurationError
from k8sactors.scheduler.event_handlers import EventHandlers
from k8sactors.scheduler.explain import Explanation, explain
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.profile import Profile
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.plugins import default_profile
from k8sactors.scheduler.queue import SchedulingQueue
from k8sactors.simulation import SECOND

__all__ = ["MAX_BINDINGS_IN_FLIGHT", "Scheduler"]

USER = UserInfo("system:kube-scheduler")
LEASE_NAME = "kube-scheduler"
MAX_BINDINGS_IN_FLIGHT = 2048
# So that a long queue does not keep the turn, and with it all bindings, from ending.
MAX_ATTEMPTS_PER_TURN = 512
HOUSEKEEPING_PERIOD_NS = 30 * SECOND


class Scheduler(Actor):
    """kube-scheduler. `profiles` serve the pods of their `schedulerName`; others are left alone."""

    # What runs an attempt; a bench puts one with a clock here.
    cycle_type: ClassVar[type[SchedulingCycle]] = SchedulingCycle

    def __init__(
        self,
        servers: Sequence[str],
        identity: str,
        *,
        profiles: Sequence[Profile] = (),
        leader_elect: bool = True,
        lease_name: str = LEASE_NAME,
    ) -> None:
        self._servers = servers
        self._identity = identity
        self._profiles = tuple(profiles) or (default_profile(),)
        self._leader_elect = leader_elect
        self._lease_name = lease_name
        names = [profile.scheduler_name for profile in self._profiles]
        if len(set(names)) != len(names):
            raise ConfigurationError(f"two profiles serve the same schedulerName: {names}")
        self.leading = False
        self.cache = Cache()

    def on_start(self) -> None:
        """Follow what the plugins wait for, and campaign."""
        ctx = self.ctx
        self._elector = LeaderElector(
            Client(ctx, self._servers, USER),
            lease_name=self._lease_name,
            identity=self._identity,
            on_started_leading=self._start_leading,
            on_stopped_leading=self._stop_leading,
        )
        fence = self._elector.may_act if self._leader_elect else None
        client = Client(ctx, self._servers, USER, fence=fence)
        recorder = EventRecorder(client, self._profiles[0].scheduler_name)
        writer = self._writer = ApiWriter(client, recorder)
        self._informers = InformerFactory(client)
        handle = Handle(self.cache, writer, self._informers, after=ctx.after)
        self.frameworks = {p.scheduler_name: Framework(p, handle) for p in self._profiles}
        self.queue = SchedulingQueue(self.frameworks, ctx.now_ns)
        handle.retry = self.queue.retry
        handle.nominations.on_released = self.queue.room_released
        engine = DecisionEngine(self.cache, ctx.random.random)
        self.cycle = self.cycle_type(
            self.frameworks, engine, handle, self.queue, writer, ctx.now_ns, ctx.after
        )
        self._handlers = EventHandlers(self.frameworks, self.queue, handle)
        self._handlers.attach(self._informers)
        self._pods = handle.lister("pods")
        self._informers.start()
        self._wake_at_ns: int | None = None
        ctx.after(HOUSEKEEPING_PERIOD_NS, self._housekeep)
        if self._leader_elect:
            self._elector.start()
        else:
            self._start_leading()

    def on_stop(self) -> None:
        """Let another instance take over at once."""
        self._elector.stop()

    def on_message(self, message: Message) -> None:
        """`scheduler.explain` with [namespace, name] of a pod, and whether it lives."""
        if message.kind == HEALTH:
            message.reply(HEALTH_RESPONSE, [True, "ok"])
        if message.kind == "scheduler.explain":
            namespace, name = message.payload
            obj = self._pods.get(namespace, name)
            answer = None if obj is None else self.explain(obj).to_wire()
            message.reply("scheduler.explanation", answer)

    def on_batch_end(self) -> None:
        """Place what waits."""
        if not self.leading or not self._informers.has_synced:
            return
        cycle, pop = self.cycle, self.queue.pop
        attempts = 0
        while cycle.in_flight < MAX_BINDINGS_IN_FLIGHT:
            if attempts >= MAX_ATTEMPTS_PER_TURN:
                self._wake_after(0)
                return
            queued = pop()
            if queued is None:
                break
            cycle.run(queued)
            attempts += 1
        due_ns = self.queue.next_backoff_ns()
        if due_ns is not None:
            self._wake_after(max(0, due_ns - self.ctx.now_ns()))

    def explain(self, obj: dict[str, Any]) -> Explanation:
        """What all plugins say about a pod object now."""
        pod = self._handlers.parser.parse(obj)
        framework = self.frameworks.get(pod.scheduler_name)
        if framework is None:
            raise ConfigurationError(f"no profile for schedulerName {pod.scheduler_name}")
        return explain(framework, pod, self.cache)

    def statistics(self) -> dict[str, int]:
        """Queue depths and counters."""
        counters = self.cycle.counters
        return {
            **self.queue.statistics(),
            "attempts": counters.attempts,
            "scheduled": counters.scheduled,
            "unschedulable attempts": counters.unschedulable,
            "scoring skipped": counters.scoring_skipped,
            "errors": counters.errors,
            "bindings in flight": self.cycle.in_flight,
            "repeated bindings": self._writer.repeated_bindings,
            "lost writes": self._writer.lost_writes,
        }

    def _start_leading(self) -> None:
        self.leading = True
        self.ctx.log.info("started placing pods", identity=self._identity)

    def _stop_leading(self) -> None:
        # Bindings in flight end by themselves; the fence stops everything that has not left yet.
        self.leading = False
        self.ctx.log.warning("stopped placing pods", identity=self._identity)

    def _wake_after(self, delay_ns: int) -> None:
        at_ns = self.ctx.now_ns() + delay_ns
        if self._wake_at_ns is not None and self._wake_at_ns <= at_ns:
            return
        self._wake_at_ns = at_ns
        self.ctx.after(delay_ns, self._woken)

    def _woken(self) -> None:
        """The end of the turn that this timer causes does the work."""
        self._wake_at_ns = None

    def _housekeep(self) -> None:
        self.queue.flush_unschedulable()
        self.cache.expire(self.ctx.now_ns())
        self.ctx.after(HOUSEKEEPING_PERIOD_NS, self._housekeep)
