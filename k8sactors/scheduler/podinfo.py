"""A pod in the compact form that the scheduler thinks in.

Most pods are stamped from few templates, so what matters for placement is parsed once per template:
`Requirements` are interned by the raw bytes of the fields they come from, and pods of the same
template share one object. Its identity is the pod's scheduling signature.
"""

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs
import msgpack

from k8sactors.scheduler import resources, taints
from k8sactors.scheduler.node_selector import SelectorTerm, parse_term, parse_terms

__all__ = ["HostPort", "Place", "PodInfo", "PodParser", "QueuedPod", "Requirements"]

_MAX_INTERNED = 16_384


class Place(enum.Enum):
    """Where a queued pod is."""

    NOWHERE = "nowhere"
    ACTIVE = "active"
    BACKOFF = "backoff"
    UNSCHEDULABLE = "unschedulable"
    GATED = "gated"
    IN_FLIGHT = "in flight"


class HostPort(NamedTuple):
    """A port that a pod takes on its node."""

    host_ip: str
    protocol: str
    port: int


@attrs.define(eq=False)
class Requirements:
    """What a pod demands of its node; shared by all pods that demand the same."""

    milli_cpu: int
    memory_bytes: int
    ephemeral_bytes: int
    extended: dict[str, int]
    scored_milli_cpu: int
    """As milli_cpu, with containers that ask for nothing counted at the default."""
    scored_memory_bytes: int
    node_selector: dict[str, str]
    required_terms: tuple[SelectorTerm, ...] | None
    """None: no requirement. Empty: nothing matches."""
    preferred_terms: tuple[tuple[int, SelectorTerm], ...]
    tolerations: tuple[taints.Toleration, ...]
    host_ports: tuple[HostPort, ...]
    scheduling_gates: tuple[str, ...]

    @property
    def asks_for_resources(self) -> bool:
        """Whether anything besides a place among the node's pods is requested."""
        return bool(
            self.milli_cpu
            or self.memory_bytes
            or self.ephemeral_bytes
            or any(self.extended.values())
        )


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

    @property
    def key(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def labels(self) -> dict[str, str]:
        """The pod's labels."""
        return self.obj["metadata"].get("labels") or {}


@attrs.define(eq=False)
class QueuedPod:
    """A pod that waits for a node, and its history of attempts."""

    pod: PodInfo
    queued_ns: int
    """When the pod last entered the queue."""
    first_queued_ns: int
    attempts: int = 0
    rejected_by: frozenset[str] = frozenset()
    """The plugins that refused the pod at the last attempt."""
    place: Place = Place.NOWHERE
    ticket: int = 0
    """Tells the entry of a heap that counts from those that were left behind."""
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
        host_ports=_host_ports(spec),
        scheduling_gates=tuple(gate["name"] for gate in spec.get("schedulingGates") or ()),
    )


def _host_ports(spec: Mapping[str, Any]) -> tuple[HostPort, ...]:
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    ports: dict[HostPort, None] = {}
    for container in (*spec["containers"], *sidecars):
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (
                port["containerPort"] if spec.get("hostNetwork") else 0
            )
            if number:
                address = port.get("hostIP") or "0.0.0.0"  # noqa: S104 - the API's wildcard
                ports[HostPort(address, port.get("protocol") or "TCP", number)] = None
    return tuple(ports)
