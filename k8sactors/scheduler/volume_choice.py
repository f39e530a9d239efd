"""Which volumes the claims of a pod get on a node.

Claims that are bound restrict the nodes by the affinity of their volumes. Claims of a class with
`WaitForFirstConsumer` are bound when their pod is placed: each gets the best volume that its node
can reach, or one that a provisioner makes for that node (volume scheduling, KEP-490).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from k8sactors.api.persistent_volumes import SELECTED_NODE, annotations_of, request_of
from k8sactors.scheduler.node_selector import SelectorTerm, parse_terms
from k8sactors.scheduler.nodeinfo import NodeInfo

__all__ = [
    "BIND_CONFLICT",
    "NODE_CONFLICT",
    "VOLUME_MISSING",
    "BoundClaim",
    "Choice",
    "ClaimToBind",
    "Reservation",
    "Volume",
    "choose",
    "reaches",
]

Object = dict[str, Any]

BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"
NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
VOLUME_MISSING = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"


@attrs.frozen
class Volume:
    """A persistent volume, and the nodes that can reach it."""

    obj: Object
    # None: all nodes.
    terms: tuple[SelectorTerm, ...] | None

    @staticmethod
    def parse(obj: Object) -> Volume:
        """From a PersistentVolume."""
        affinity = (obj["spec"].get("nodeAffinity") or {}).get("required")
        terms = None if affinity is None else parse_terms(affinity.get("nodeSelectorTerms"))
        return Volume(obj, terms)

    @property
    def name(self) -> str:
        """Its name."""
        name: str = self.obj["metadata"]["name"]
        return name

    def reached_from(self, node: NodeInfo) -> bool:
        """Whether a pod on the node can use it."""
        return self.terms is None or any(node.matches(term) for term in self.terms)


@attrs.frozen
class BoundClaim:
    """A claim that has its volume already; None: the volume is not there."""

    volume: Volume | None


@attrs.frozen
class Reservation:
    """What a pod that is being bound has chosen for a claim."""

    pod_uid: str
    node_name: str
    # None: a provisioner makes one.
    volume_name: str | None


@attrs.frozen
class ClaimToBind:
    """A claim that waits for its first consumer."""

    obj: Object
    # The volumes that it can have, the best first.
    volumes: tuple[Volume, ...]
    storage_class: Object
    # Set while another pod that uses the claim is being bound.
    reservation: Reservation | None = None

    @property
    def key(self) -> str:
        """namespace/name."""
        metadata = self.obj["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"

    @property
    def selected_node(self) -> str | None:
        """The node for which a provisioner was asked already."""
        if self.reservation is not None and self.reservation.volume_name is None:
            return self.reservation.node_name
        return annotations_of(self.obj).get(SELECTED_NODE)


@attrs.frozen
class Choice:
    """What is to be done when the pod is placed on the node."""

    # Claims and the volumes that they get.
    bindings: tuple[tuple[ClaimToBind, Volume], ...] = ()
    # Claims for which a provisioner is asked.
    provisions: tuple[ClaimToBind, ...] = ()

    @property
    def claims(self) -> tuple[ClaimToBind, ...]:
        """All claims that it is about."""
        return (*(claim for claim, _ in self.bindings), *self.provisions)


def reaches(bound: Sequence[BoundClaim], node: NodeInfo) -> str | None:
    """Why a pod with these bound claims cannot run on the node; None when it can."""
    for claim in bound:
        if claim.volume is None:
            return VOLUME_MISSING
        if not claim.volume.reached_from(node):
            return NODE_CONFLICT
    return None


def choose(
    claims: Sequence[ClaimToBind], node: NodeInfo, taken: Callable[[str, str], bool]
) -> Choice | None:
    """The volumes on a node; None when a claim finds none and cannot be provisioned there.

    Claims choose in the order of their sizes, the smallest first. `taken(volume, claim)` tells
    whether a volume is reserved for another claim than the one of that key.
    """
    chosen: dict[str, None] = {}
    bindings: list[tuple[ClaimToBind, Volume]] = []
    provisions: list[ClaimToBind] = []
    for claim in sorted(claims, key=lambda each: request_of(each.obj)):
        selected_node = claim.selected_node
        if selected_node is not None:
            if selected_node != node.name:
                return None
            provisions.append(claim)
            continue
        reserved = claim.reservation
        for volume in claim.volumes:
            if reserved is not None and reserved.volume_name != volume.name:
                continue
            if volume.name in chosen or taken(volume.name, claim.key):
                continue
            if volume.reached_from(node):
                chosen[volume.name] = None
                bindings.append((claim, volume))
                break
        else:
            if reserved is not None or not _can_provision(claim.storage_class, node):
                return None
            provisions.append(claim)
    return Choice(tuple(bindings), tuple(provisions))


def _can_provision(storage_class: Object, node: NodeInfo) -> bool:
    if storage_class["provisioner"] == _NO_PROVISIONER:
        return False
    topologies = storage_class.get("allowedTopologies")
    if not topologies:
        return True
    labels = node.labels
    return any(
        all(labels.get(each["key"]) in each["values"] for each in term["matchLabelExpressions"])
        for term in topologies
        if term.get("matchLabelExpressions")
    )
