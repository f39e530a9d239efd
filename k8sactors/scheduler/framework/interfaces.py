"""The extension points, in the order in which a pod meets them (KEP-624).

    PreEnqueue -> QueueSort                                     waiting
    PreFilter -> Filter -> PostFilter (only when nothing fits)  finding nodes
    PreScore -> Score -> NormalizeScore                         choosing one
    Reserve -> Permit                                           claiming it
    PreBind -> Bind -> PostBind                                 telling the API server

Everything up to Permit is synchronous. PreBind and Bind may talk to the API server, so they
answer through the `done` callback they are given; it must be called exactly once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.events import EventHint
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.status import Status
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo, QueuedPod
from k8sactors.scheduler.table import NodeTable, Rows

__all__ = [
    "BindPlugin",
    "CycleState",
    "FilterPlugin",
    "MaxNormalizer",
    "PermitPlugin",
    "Plugin",
    "PostBindPlugin",
    "PostFilterPlugin",
    "PostFilterResult",
    "PreBindPlugin",
    "PreEnqueuePlugin",
    "PreFilterPlugin",
    "PreScorePlugin",
    "QueueSortPlugin",
    "ReservePlugin",
    "ScorePlugin",
]

MAX_NODE_SCORE = 100

Done = Callable[[Status | None], None]


@attrs.define(eq=False)
class CycleState:
    """The notes of one scheduling attempt: which plugins take part, and what they wrote down."""

    # The Filter plugins that did not ask to be skipped in PreFilter.
    filters: list[FilterPlugin] = attrs.Factory(list)
    # (weight, plugin) of the Score plugins that did not ask to be skipped in PreScore.
    scores: list[tuple[int, ScorePlugin]] = attrs.Factory(list)
    notes: dict[Hashable, Any] = attrs.Factory(dict)
    # The Reserve and PreBind plugins that have something to say about the pod.
    reserves: Sequence[ReservePlugin] = ()
    pre_binds: Sequence[PreBindPlugin] = ()

    def fork(self) -> CycleState:
        """A state of its own for one pod, from what pods of equal signature share."""
        return CycleState(
            self.filters, self.scores, dict(self.notes), self.reserves, self.pre_binds
        )


class Plugin(ABC):
    """What all plugins have; which extension points a plugin serves is told by its base classes."""

    # The plugin's identity in profiles, messages and reports.
    name: ClassVar[str]
    # Where the plugin stands in the default profile: smaller runs earlier, names break ties.
    default_position: ClassVar[int] = 1000
    # How much the plugin's score counts, unless a profile says otherwise.
    default_weight: ClassVar[int] = 1
    # Whether everything the plugin looks at in a pod is part of `PodInfo.requirements`.
    signature_is_requirements: ClassVar[bool] = False
    # Whether the plugin signs only pods about which it has nothing to say: those that it skips in
    # PreFilter and PreScore. For them `sign` gives `PodInfo.requirements`.
    signs_skipped_pods_only: ClassVar[bool] = False
    # Whether the plugin's Reserve and PreBind have nothing to do either for pods that it skips in
    # PreFilter.
    skips_binding_too: ClassVar[bool] = False

    def __init__(self, handle: Handle) -> None:
        self.handle = handle

    def sign(self, pod: PodInfo) -> Hashable | None:
        """All that this plugin looks at in the pod, or None when that cannot be said (KEP-5598).

        Pods of equal signature share results, those of PostFilter included: a plugin that signs
        promises that equal signatures get equal answers on equal nodes. A pod with a nominated
        node shares nothing.
        """
        return pod.requirements if self.signature_is_requirements else None

    def events_to_register(self) -> Sequence[EventHint] | None:
        """The events that may help a pod this plugin refused or nominated.

        The scheduler follows every resource named here. None stands for every event of the
        resources that are followed anyway.
        """
        return None


class PreEnqueuePlugin(Plugin):
    """Decides whether a pod may enter the queue at all."""

    @abstractmethod
    def pre_enqueue(self, pod: PodInfo) -> Status | None:
        """None to let the pod in."""


class QueueSortPlugin(Plugin):
    """Orders the queue. All profiles of a scheduler share one."""

    @abstractmethod
    def sort_key(self, queued: QueuedPod) -> tuple[Any, ...]:
        """Pods with smaller keys are tried first."""


class PreFilterPlugin(Plugin):
    """Looks at the pod once, before any node is considered."""

    @abstractmethod
    def pre_filter(
        self, state: CycleState, pod: PodInfo, cache: Cache
    ) -> Status | frozenset[str] | None:
        """None, a refusal, a SKIP of this plugin's Filter, or the only nodes to look at."""


class FilterPlugin(Plugin):
    """Decides whether a node can run a pod."""

    # False when the answer changes only with the Node object, not with the pods on the node.
    depends_on_pods: ClassVar[bool] = True

    @abstractmethod
    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """None when the node can run the pod."""

    def filter_vector(
        self,
        state: CycleState,
        pod: PodInfo,
        table: NodeTable,
        rows: Rows,
    ) -> NDArray[np.bool_] | None:
        """For each row whether `filter` lets it pass; None when there is no vector form."""
        del state, pod, table, rows
        return None


@attrs.frozen
class PostFilterResult:
    """What PostFilter achieved: a node that will have room, or only a message."""

    nominated_node: str = ""
    message: str = ""
    # The plugin that nominated the node; set by the framework.
    plugin: str = ""


class PostFilterPlugin(Plugin):
    """Runs when no node fits; preemption is the usual one."""

    @abstractmethod
    def post_filter(
        self, state: CycleState, pod: PodInfo, refused: Mapping[str, Status]
    ) -> PostFilterResult | None:
        """A result ends the search among PostFilter plugins when it nominates a node."""


class PreScorePlugin(Plugin):
    """Looks at the pod once before nodes are scored."""

    @abstractmethod
    def pre_score(self, state: CycleState, pod: PodInfo) -> Status | None:
        """None, a refusal, or a SKIP of this plugin's Score."""


@attrs.frozen
class MaxNormalizer:
    """The framework's default normalisation: the largest raw score becomes 100."""

    reverse: bool = False

    def __call__(self, raw: int, maximum: int) -> int:
        """The normalised score, given the largest raw score among the feasible nodes."""
        if maximum == 0:
            return MAX_NODE_SCORE if self.reverse else raw
        score = MAX_NODE_SCORE * raw // maximum
        return MAX_NODE_SCORE - score if self.reverse else score

    def vector(self, raw: NDArray[np.int64], maximum: int) -> NDArray[np.int64]:
        """The same for an array."""
        if maximum == 0:
            return np.full_like(raw, MAX_NODE_SCORE) if self.reverse else raw
        scores = MAX_NODE_SCORE * raw // maximum
        return MAX_NODE_SCORE - scores if self.reverse else scores


class ScorePlugin(Plugin):
    """Says how good a feasible node is; 0 to 100 after normalisation."""

    # False when the score changes only with the Node object.
    depends_on_pods: ClassVar[bool] = True

    # Set for plugins that use the default normalisation.
    normalizer: ClassVar[MaxNormalizer | None] = None

    @abstractmethod
    def score(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> int:
        """The raw score of one node, not negative."""

    def score_vector(
        self,
        state: CycleState,
        pod: PodInfo,
        table: NodeTable,
        rows: Rows,
    ) -> NDArray[np.int64] | None:
        """The raw score of each row; None when there is no vector form."""
        del state, pod, table, rows
        return None

    def normalize_scores(
        self, state: CycleState, pod: PodInfo, scores: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """NormalizeScore: the raw scores of all feasible nodes brought to 0..100."""
        del state, pod
        if self.normalizer is None or not scores.size:
            return scores
        return self.normalizer.vector(scores, int(scores.max()))


class ReservePlugin(Plugin):
    """Keeps own books of what pods on a node use."""

    @abstractmethod
    def reserve(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        """Claim; a refusal undoes the claims of the plugins before."""

    @abstractmethod
    def unreserve(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> None:
        """Give back; must be safe to call without a claim."""


class PermitPlugin(Plugin):
    """May hold a pod that has a node, until others are ready too."""

    @abstractmethod
    def permit(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> tuple[Status | None, int]:
        """(None, a refusal or WAIT; how long to wait at most, in nanoseconds)."""


class PreBindPlugin(Plugin):
    """Prepares what the pod needs on its node, volumes for instance."""

    @abstractmethod
    def pre_bind(self, state: CycleState, pod: PodInfo, node: NodeInfo, done: Done) -> None:
        """Call `done` with None, or with what failed."""


class BindPlugin(Plugin):
    """Tells the API server. The first Bind plugin that does not SKIP decides."""

    @abstractmethod
    def bind(self, state: CycleState, pod: PodInfo, node: NodeInfo, done: Done) -> None:
        """Call `done` with None, with SKIP, or with what failed."""


class PostBindPlugin(Plugin):
    """Is told that a pod has been bound."""

    @abstractmethod
    def post_bind(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> None:
        """Nothing can be refused any more."""
