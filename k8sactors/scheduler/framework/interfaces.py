"""The extension points, in the order in which a pod meets them (KEP-624).

    PreEnqueue -> QueueSort                                     waiting
    PreFilter -> Filter -> PostFilter (only when nothing fits)  finding nodes
    PreScore -> Score -> NormalizeScore                         choosing one
    Reserve -> Permit                                           claiming it
    PreBind -> Bind -> PostBind                                 telling the API server

Everything up to Permit is synchronous. PreBind and Bind may talk to the API server, so they
answer through the `done` callback they are given; it must be called exactly once.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.framework.events import EventHint
from k8sactors.scheduler.framework.status import CycleState, Status

if TYPE_CHECKING:
    from k8sactors.scheduler.cache import Cache
    from k8sactors.scheduler.nodeinfo import NodeInfo
    from k8sactors.scheduler.podinfo import PodInfo, QueuedPod
    from k8sactors.scheduler.table import NodeTable

__all__ = [
    "BindPlugin",
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
    "Rows",
    "ScorePlugin",
]

MAX_NODE_SCORE = 100

Rows = NDArray[np.intp]
"""Rows of the node table."""

Done = Callable[[Status | None], None]


class Plugin:
    """What all plugins have. `name` is the plugin's identity in profiles, messages and reports."""

    name: ClassVar[str]

    signature_is_requirements: ClassVar[bool] = False
    """Whether everything the plugin looks at in a pod is part of `PodInfo.requirements`."""

    def sign(self, pod: "PodInfo") -> Hashable | None:
        """All that this plugin looks at in the pod, or None when that cannot be said (KEP-5598).

        Pods of equal signature share results: a plugin that signs promises that equal signatures
        get equal answers on equal nodes.
        """
        return pod.requirements if self.signature_is_requirements else None

    def events_to_register(self) -> Sequence[EventHint] | None:
        """The events that may help a pod this plugin refused; None stands for every event."""
        return None


class PreEnqueuePlugin(Plugin):
    """Decides whether a pod may enter the queue at all."""

    def pre_enqueue(self, pod: "PodInfo") -> Status | None:
        """None to let the pod in."""
        raise NotImplementedError


class QueueSortPlugin(Plugin):
    """Orders the queue. All profiles of a scheduler share one."""

    def sort_key(self, queued: "QueuedPod") -> tuple[Any, ...]:
        """Pods with smaller keys are tried first."""
        raise NotImplementedError


class PreFilterPlugin(Plugin):
    """Looks at the pod once, before any node is considered."""

    def pre_filter(
        self, state: CycleState, pod: "PodInfo", cache: "Cache"
    ) -> Status | frozenset[str] | None:
        """None, a refusal, a SKIP of this plugin's Filter, or the only nodes to look at."""
        raise NotImplementedError


class FilterPlugin(Plugin):
    """Decides whether a node can run a pod."""

    depends_on_pods: ClassVar[bool] = True
    """False when the answer changes only with the Node object, not with the pods on the node."""

    def filter(self, state: CycleState, pod: "PodInfo", node: "NodeInfo") -> Status | None:
        """None when the node can run the pod."""
        raise NotImplementedError

    def filter_vector(
        self,
        state: CycleState,
        pod: "PodInfo",
        table: "NodeTable",
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


class PostFilterPlugin(Plugin):
    """Runs when no node fits; preemption is the one that everybody has."""

    def post_filter(
        self, state: CycleState, pod: "PodInfo", refused: Mapping[str, Status]
    ) -> PostFilterResult | None:
        """A result ends the search among PostFilter plugins when it nominates a node."""
        raise NotImplementedError


class PreScorePlugin(Plugin):
    """Looks at the pod once before nodes are scored."""

    def pre_score(self, state: CycleState, pod: "PodInfo") -> Status | None:
        """None, a refusal, or a SKIP of this plugin's Score."""
        raise NotImplementedError


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

    depends_on_pods: ClassVar[bool] = True
    """False when the score changes only with the Node object."""

    normalizer: ClassVar[MaxNormalizer | None] = None
    """Set for plugins that use the default normalisation."""

    def score(self, state: CycleState, pod: "PodInfo", node: "NodeInfo") -> int:
        """The raw score of one node, not negative."""
        raise NotImplementedError

    def score_vector(
        self,
        state: CycleState,
        pod: "PodInfo",
        table: "NodeTable",
        rows: Rows,
    ) -> NDArray[np.int64] | None:
        """The raw score of each row; None when there is no vector form."""
        del state, pod, table, rows
        return None

    def normalize_scores(
        self, state: CycleState, pod: "PodInfo", scores: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """NormalizeScore: the raw scores of all feasible nodes brought to 0..100."""
        del state, pod
        if self.normalizer is None or not scores.size:
            return scores
        return self.normalizer.vector(scores, int(scores.max()))


class ReservePlugin(Plugin):
    """Keeps own books of what pods on a node use."""

    def reserve(self, state: CycleState, pod: "PodInfo", node: "NodeInfo") -> Status | None:
        """Claim; a refusal undoes the claims of the plugins before."""
        raise NotImplementedError

    def unreserve(self, state: CycleState, pod: "PodInfo", node: "NodeInfo") -> None:
        """Give back; must be safe to call without a claim."""
        raise NotImplementedError


class PermitPlugin(Plugin):
    """May hold a pod that has a node, until others are ready too."""

    def permit(
        self, state: CycleState, pod: "PodInfo", node: "NodeInfo"
    ) -> tuple[Status | None, int]:
        """(None, a refusal or WAIT; how long to wait at most, in nanoseconds)."""
        raise NotImplementedError


class PreBindPlugin(Plugin):
    """Prepares what the pod needs on its node, volumes for instance."""

    def pre_bind(self, state: CycleState, pod: "PodInfo", node: "NodeInfo", done: Done) -> None:
        """Call `done` with None, or with what failed."""
        raise NotImplementedError


class BindPlugin(Plugin):
    """Tells the API server. The first Bind plugin that does not SKIP decides."""

    def bind(self, state: CycleState, pod: "PodInfo", node: "NodeInfo", done: Done) -> None:
        """Call `done` with None, with SKIP, or with what failed."""
        raise NotImplementedError


class PostBindPlugin(Plugin):
    """Is told that a pod has been bound."""

    def post_bind(self, state: CycleState, pod: "PodInfo", node: "NodeInfo") -> None:
        """Nothing can be refused any more."""
        raise NotImplementedError
