"""A pod in the compact form that the scheduler works with.

Most pods come from few templates, so what matters for placement is parsed once per template:
`Requirements` are interned by the raw bytes of the fields they come from, and pods of the same
template share one object. Its identity is the pod's scheduling signature.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs
import msgpack

from k8sactors.api.host_ports import HostPort, host_ports
from k8sactors.scheduler import resources, taints
from k8sactors.scheduler.node_selector import SelectorTerm, parse_term, parse_terms
from k8sactors.scheduler.pod_terms import PodAffinity, PodAffinityTerms, SpreadConstraints

__all__ = ["Group", "Place", "PodInfo", "PodParser", "QueuedPod", "Requirements"]

_MAX_INTERNED = 16_384

# Sources of volumes that are somewhere, or that not every pod can have at the same time.
_STORAGE = frozenset(
    {
        "awsElasticBlockStore",
        "ephemeral",
        "gcePersistentDisk",
        "iscsi",
        "persistentVolumeClaim",
        "rbd",
    }
)

# Namespace, labels, and whether the pod is being deleted.
Group = tuple[str, tuple[tuple[str, str], ...], bool]


class Place(enum.Enum):
    """Where a queued pod is."""

    NOWHERE = "nowhere"
    ACTIVE = "active"
    BACKOFF = "backoff"
    UNSCHEDULABLE = "unschedulable"
    GATED = "gated"
    IN_FLIGHT = "in flight"


@attrs.define(eq=False)
class Requirements:
    """What a pod demands of its node; shared by all pods that demand the same."""

    milli_cpu: int
    memory_bytes: int
    ephemeral_bytes: int
    extended: dict[str, int]
    # As milli_cpu, with containers that ask for nothing counted at the default.
    scored_milli_cpu: int
    scored_memory_bytes: int
    node_selector: dict[str, str]
    # None: no requirement. Empty: nothing matches.
    required_terms: tuple[SelectorTerm, ...] | None
    preferred_terms: tuple[tuple[int, SelectorTerm], ...]
    tolerations: tuple[taints.Toleration, ...]
    host_ports: tuple[HostPort, ...]
    scheduling_gates: tuple[str, ...]
    # None: nothing is said about other pods.
    pod_affinity: PodAffinity | None
    spread: SpreadConstraints | None
    # Whether it has volumes that not every node can give it.
    uses_storage: bool


@attrs.define(eq=False)
class PodInfo:
    """A pod; `uid` identifies it, `obj` is the object it was read from (never to be changed)."""

    uid: str
    namespace: str
    name: str
    node_name: str
    scheduler_name: str
    priority: int
    requirements: Requirements
    obj: dict[str, Any]
    # What was worked out from `obj`, with the `obj` it was.
    _group: tuple[dict[str, Any], Group] | None = attrs.field(default=None, init=False, repr=False)
    _terms: tuple[dict[str, Any], PodAffinityTerms] | None = attrs.field(
        default=None, init=False, repr=False
    )

    @property
    def key(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def labels(self) -> dict[str, str]:
        """The pod's labels."""
        return self.obj["metadata"].get("labels") or {}

    @property
    def terminating(self) -> bool:
        """Whether the pod is being deleted."""
        return "deletionTimestamp" in self.obj["metadata"]

    @property
    def affinity_terms(self) -> PodAffinityTerms | None:
        """The pod's terms about other pods."""
        affinity = self.requirements.pod_affinity
        if affinity is None:
            return None
        known = self._terms
        if known is None or known[0] is not self.obj:
            known = self._terms = (self.obj, affinity.terms_of(self.namespace, self.labels))
        return known[1]

    @property
    def group(self) -> Group:
        """All that selectors look at: pods of one group are selected together."""
        known = self._group
        if known is None or known[0] is not self.obj:
            group = (self.namespace, tuple(self.labels.items()), self.terminating)
            known = self._group = (self.obj, group)
        return known[1]


@attrs.define(eq=False)
class QueuedPod:
    """A pod that waits for a node, and its history of attempts."""

    pod: PodInfo
    # When the pod last entered the queue.
    queued_ns: int
    attempts: int = 0
    # The plugins that refused the pod at the last attempt.
    rejected_by: frozenset[str] = frozenset()
    place: Place = Place.NOWHERE
    # Tells the current entry of a heap from outdated ones.
    ticket: int = 0
    backoff_until_ns: int = 0


class PodParser:
    """Turns pod objects into PodInfo, with one Requirements object per distinct demand."""

    def __init__(self) -> None:
        self._interned: dict[bytes, Requirements] = {}
        self._pack = msgpack.Packer().pack

    def parse(self, obj: dict[str, Any]) -> PodInfo:
        """The compact form of a pod object."""
        metadata = obj["metadata"]
        spec = obj["spec"]
        namespace = metadata.get("namespace", "default")
        return PodInfo(
            metadata.get("uid") or f"{namespace}/{metadata['name']}",
            namespace,
            metadata["name"],
            spec.get("nodeName") or "",
            spec.get("schedulerName") or "default-scheduler",
            spec.get("priority") or 0,
            self._requirements(spec),
            obj,
        )

    def _requirements(self, spec: Mapping[str, Any]) -> Requirements:
        get = spec.get
        fingerprint: bytes = self._pack(
            (
                [(c.get("resources"), c.get("ports")) for c in spec["containers"]],
                [
                    (c.get("resources"), c.get("ports"), c.get("restartPolicy"))
                    for c in get("initContainers") or ()
                ],
                get("nodeSelector"),
                get("affinity"),
                get("tolerations"),
                get("overhead"),
                get("resources"),
                get("schedulingGates"),
                get("hostNetwork"),
                get("topologySpreadConstraints"),
                _uses_storage(spec),
            )
        )
        found = self._interned.get(fingerprint)
        if found is None:
            if len(self._interned) >= _MAX_INTERNED:
                # Pods hold on to what they use; only the sharing with later pods starts afresh.
                self._interned.clear()
            found = self._interned[fingerprint] = _parse_requirements(spec)
        return found


def _parse_requirements(spec: Mapping[str, Any]) -> Requirements:
    requests = resources.pod_requests(spec)
    scored = resources.pod_requests(spec, fill_missing=True)
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return Requirements(
        milli_cpu=requests.pop("cpu", 0),
        memory_bytes=requests.pop("memory", 0),
        ephemeral_bytes=requests.pop("ephemeral-storage", 0),
        extended=requests,
        scored_milli_cpu=scored.get("cpu", 0),
        scored_memory_bytes=scored.get("memory", 0),
        node_selector=dict(spec.get("nodeSelector") or {}),
        required_terms=None if required is None else parse_terms(required.get("nodeSelectorTerms")),
        preferred_terms=tuple(
            (p["weight"], parse_term(p.get("preference") or {})) for p in preferred
        ),
        tolerations=taints.parse_tolerations(spec.get("tolerations")),
        host_ports=host_ports(spec),
        scheduling_gates=tuple(gate["name"] for gate in spec.get("schedulingGates") or ()),
        pod_affinity=PodAffinity.parse(spec.get("affinity")),
        spread=SpreadConstraints.parse(spec.get("topologySpreadConstraints")),
        uses_storage=_uses_storage(spec),
    )


def _uses_storage(spec: Mapping[str, Any]) -> bool:
    return any(not _STORAGE.isdisjoint(volume) for volume in spec.get("volumes") or ())
