"""The plugins of a profile, sorted by extension point, and how each point is run."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping

import attrs

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.errors import ConfigurationError
from k8sactors.scheduler.events import EventHint
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import (
    BindPlugin,
    CycleState,
    FilterPlugin,
    PermitPlugin,
    Plugin,
    PostBindPlugin,
    PostFilterPlugin,
    PostFilterResult,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    PreScorePlugin,
    QueueSortPlugin,
    ReservePlugin,
    ScorePlugin,
)
from k8sactors.scheduler.framework.profile import Profile
from k8sactors.scheduler.framework.status import Code, Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["Framework", "Part", "PreFilterOutcome"]


# A refusal of the pod as a whole, the only nodes to look at, or no restriction.
PreFilterOutcome = Status | frozenset[str] | None


@attrs.frozen
class Part:
    """Some plugins of a profile, by the extension points of a decision."""

    pre_filters: list[PreFilterPlugin]
    filters: list[FilterPlugin]
    pre_scores: list[PreScorePlugin]
    # With their weights.
    scores: list[tuple[int, ScorePlugin]]


class Framework:
    """The plugins of one profile."""

    def __init__(self, profile: Profile, handle: Handle) -> None:
        self.profile = profile
        self.handle = handle
        plugins: list[Plugin] = [entry.factory(handle) for entry in profile.plugins]
        self.plugins = plugins
        self._weights = {entry.name: entry.weight for entry in profile.plugins}
        self.queue_sort = self._only_queue_sort()
        self.pre_enqueue = [p for p in plugins if isinstance(p, PreEnqueuePlugin)]
        self.pre_filters = [p for p in plugins if isinstance(p, PreFilterPlugin)]
        self.filters = [p for p in plugins if isinstance(p, FilterPlugin)]
        self.post_filters = [p for p in plugins if isinstance(p, PostFilterPlugin)]
        self.pre_scores = [p for p in plugins if isinstance(p, PreScorePlugin)]
        self.scores = [(self._weights[p.name], p) for p in plugins if isinstance(p, ScorePlugin)]
        self.reserves = [p for p in plugins if isinstance(p, ReservePlugin)]
        self.permits = [p for p in plugins if isinstance(p, PermitPlugin)]
        self.pre_binds = [p for p in plugins if isinstance(p, PreBindPlugin)]
        self.binds = [p for p in plugins if isinstance(p, BindPlugin)]
        self.post_binds = [p for p in plugins if isinstance(p, PostBindPlugin)]
        self._signers = [
            p
            for p in self.plugins
            if isinstance(p, PreFilterPlugin | FilterPlugin | PreScorePlugin | ScorePlugin)
        ]
        self._skippers = [p for p in self._signers if p.signs_skipped_pods_only]
        self._requirements_suffice = all(
            p.signature_is_requirements or p.signs_skipped_pods_only for p in self._signers
        )
        # Whether a node's score can be kept until that node changes (see ranking.py).
        self.can_rank = all(_rankable(plugin) for _, plugin in self.scores)
        self.every_part = self._part(plugins)
        # Those whose answers for a node can be kept per template until that node changes, and
        # those that are asked in every decision (see kept_scores.py).
        self.kept_part = self._part([p for p in plugins if p.signature_is_requirements])
        self.asked_part = self._part([p for p in plugins if not p.signature_is_requirements])

    def _part(self, plugins: list[Plugin]) -> Part:
        return Part(
            [p for p in plugins if isinstance(p, PreFilterPlugin)],
            [p for p in plugins if isinstance(p, FilterPlugin)],
            [p for p in plugins if isinstance(p, PreScorePlugin)],
            [(self._weights[p.name], p) for p in plugins if isinstance(p, ScorePlugin)],
        )

    def _only_queue_sort(self) -> QueueSortPlugin:
        found = [p for p in self.plugins if isinstance(p, QueueSortPlugin)]
        if len(found) != 1:
            raise ConfigurationError(
                f"profile {self.profile.scheduler_name} needs exactly one QueueSort plugin,"
                f" it has {len(found)}"
            )
        return found[0]

    @property
    def name(self) -> str:
        """The `schedulerName` of the pods that this profile serves."""
        return self.profile.scheduler_name

    def signature(self, pod: PodInfo) -> Hashable | None:
        """What all plugins together look at in the pod; None when one of them cannot say."""
        if pod.node_name:
            return None
        for plugin in self._skippers:
            if plugin.sign(pod) is None:
                return None
        if self._requirements_suffice:
            return pod.requirements
        return _signature(self._signers, pod)

    def post_filter_signature(self, pod: PodInfo) -> Hashable | None:
        """What all PostFilter plugins look at in the pod; None when one of them cannot say."""
        return _signature(self.post_filters, pod)

    def followed_resources(self) -> list[str]:
        """The resources that plugins registered events of, sorted."""
        events = [hint.event for hints in self.registrations().values() for hint in hints or ()]
        return sorted({event.followed for event in events if event.followed})

    def registrations(self) -> dict[str, tuple[EventHint, ...] | None]:
        """Per plugin the events that may help a pod it refused; None stands for every event."""
        registered: dict[str, tuple[EventHint, ...] | None] = {}
        for plugin in self.plugins:
            hints = plugin.events_to_register()
            registered[plugin.name] = None if hints is None else tuple(hints)
        return registered

    def run_pre_enqueue(self, pod: PodInfo) -> Status | None:
        """The first refusal, if any."""
        for plugin in self.pre_enqueue:
            status = plugin.pre_enqueue(pod)
            if status is not None:
                return status
        return None

    def run_pre_filters(
        self, state: CycleState, pod: PodInfo, cache: Cache, part: Part | None = None
    ) -> tuple[PreFilterOutcome, tuple[str, ...]]:
        """The outcome, and the plugins that restricted the nodes.

        Sets `state.filters`, `state.reserves` and `state.pre_binds`.
        """
        part = part or self.every_part
        skipped: dict[str, None] = {}
        allowed: frozenset[str] | None = None
        restricting: list[str] = []
        for plugin in part.pre_filters:
            answer = plugin.pre_filter(state, pod, cache)
            if answer is None:
                continue
            if isinstance(answer, frozenset):
                allowed = answer if allowed is None else allowed & answer
                restricting.append(plugin.name)
            elif answer.code is Code.SKIP:
                skipped[plugin.name] = None
            else:
                return answer, ()
        state.filters = [plugin for plugin in part.filters if plugin.name not in skipped]
        state.reserves = [p for p in self.reserves if not _is_skipped(p, skipped)]
        state.pre_binds = [p for p in self.pre_binds if not _is_skipped(p, skipped)]
        return allowed, tuple(restricting)

    def run_pre_scores(self, state: CycleState, pod: PodInfo, part: Part | None = None) -> None:
        """Sets `state.scores`."""
        part = part or self.every_part
        skipped: dict[str, None] = {}
        for plugin in part.pre_scores:
            status = plugin.pre_score(state, pod)
            if status is not None and status.code is Code.SKIP:
                skipped[plugin.name] = None
        state.scores = [(w, plugin) for w, plugin in part.scores if plugin.name not in skipped]

    def run_post_filters(
        self, state: CycleState, pod: PodInfo, refused: Mapping[str, Status]
    ) -> PostFilterResult:
        """The first nomination; otherwise all messages."""
        messages: list[str] = []
        for plugin in self.post_filters:
            result = plugin.post_filter(state, pod, refused)
            if result is None:
                continue
            if result.nominated_node:
                return attrs.evolve(result, plugin=plugin.name)
            messages.append(result.message)
        return PostFilterResult(message=", ".join(messages))

    def run_reserves(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """The first refusal, after undoing what was reserved."""
        for plugin in state.reserves:
            status = plugin.reserve(state, pod, node)
            if status is not None:
                self.run_unreserves(state, pod, node)
                return status
        return None

    def run_unreserves(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> None:
        """Undo, in reverse order."""
        for plugin in reversed(state.reserves):
            plugin.unreserve(state, pod, node)

    def run_permits(
        self, state: CycleState, pod: PodInfo, node: NodeInfo
    ) -> tuple[Status | None, dict[str, int]]:
        """A refusal, or the plugins that want to wait with their limits in nanoseconds."""
        waiting: dict[str, int] = {}
        for plugin in self.permits:
            status, timeout_ns = plugin.permit(state, pod, node)
            if status is None:
                continue
            if status.code is not Code.WAIT:
                return status, {}
            waiting[plugin.name] = timeout_ns
        return None, waiting

    def run_pre_binds(
        self,
        state: CycleState,
        pod: PodInfo,
        node: NodeInfo,
        done: Callable[[Status | None], None],
    ) -> None:
        """Run PreBind plugins one after the other."""
        plugins = iter(state.pre_binds)

        def advance(status: Status | None) -> None:
            plugin = next(plugins, None) if status is None else None
            if plugin is None:
                done(status)
            else:
                plugin.pre_bind(state, pod, node, advance)

        advance(None)

    def run_binds(
        self,
        state: CycleState,
        pod: PodInfo,
        node: NodeInfo,
        done: Callable[[Status | None], None],
    ) -> None:
        """Ask Bind plugins until one does not SKIP."""
        if len(self.binds) == 1:
            # The usual case, without a closure that refers to itself.
            self.binds[0].bind(state, pod, node, done)
            return
        plugins = iter(self.binds)

        def advance(status: Status | None) -> None:
            if status is None or status.code is not Code.SKIP:
                done(status)
                return
            plugin = next(plugins, None)
            if plugin is None:
                done(Status(Code.ERROR, ("no Bind plugin took the pod",)))
            else:
                plugin.bind(state, pod, node, advance)

        advance(Status(Code.SKIP))

    def run_post_binds(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> None:
        """Tell every PostBind plugin."""
        for plugin in self.post_binds:
            plugin.post_bind(state, pod, node)


def _is_skipped(plugin: Plugin, skipped: Mapping[str, None]) -> bool:
    return plugin.skips_binding_too and plugin.name in skipped


def _signature(plugins: Iterable[Plugin], pod: PodInfo) -> Hashable | None:
    fragments = tuple(plugin.sign(pod) for plugin in plugins)
    return None if None in fragments else fragments


def _rankable(plugin: ScorePlugin) -> bool:
    if plugin.signs_skipped_pods_only:
        return True
    if type(plugin).normalize_scores is not ScorePlugin.normalize_scores:
        return False
    return plugin.normalizer is None or not plugin.depends_on_pods
