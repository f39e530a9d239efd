"""Which volume suits a claim.

Pure functions. Sources: documentation of persistent volumes, "Binding", and FindMatchingVolume of
the real controller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k8sactors.api import selectors
from k8sactors.api.persistent_volumes import (
    capacity_of,
    class_of,
    is_bound_to,
    phase_of,
    request_of,
)

Object = dict[str, Any]


def modes_of(obj: Object) -> frozenset[str]:
    """The access modes."""
    return frozenset(obj["spec"].get("accessModes") or ())


def volume_mode(obj: Object) -> str:
    """Filesystem or Block."""
    return str(obj["spec"].get("volumeMode") or "Filesystem")


def _attributes_class(obj: Object) -> str:
    return str(obj["spec"].get("volumeAttributesClassName") or "")


def mismatch(volume: Object, claim: Object) -> str:
    """Why a claim cannot have the volume that it names; "" when it can."""
    if capacity_of(volume) < request_of(claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if _attributes_class(volume) != _attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if volume_mode(volume) != volume_mode(claim):
        return "incompatible volumeMode"
    if not modes_of(claim) <= modes_of(volume):
        return "incompatible accessMode"
    return ""


def matches(volumes: Iterable[Object], claim: Object, *, delayed: bool) -> list[Object]:
    """The volumes that a claim can have, the best first.

    Those that wait for this claim exclude all others; else the smallest that is large enough is the
    best. Volumes with fewer access modes go first, so that those with many stay free for claims
    that need them. With `delayed` only a volume that waits for the claim counts: the scheduler
    chooses among the others.
    """
    size = request_of(claim)
    wanted = modes_of(claim)
    candidates = [
        volume
        for volume in volumes
        if wanted <= modes_of(volume)
        and volume_mode(volume) == volume_mode(claim)
        and "deletionTimestamp" not in volume["metadata"]
        and capacity_of(volume) >= size
    ]
    found = [volume for volume in candidates if is_bound_to(volume, claim)]
    if not found and not delayed:
        given = claim["spec"].get("selector")
        selector = selectors.parse_label_selector(given) if given else None
        found = [
            volume
            for volume in candidates
            if phase_of(volume) == "Available"
            and volume["spec"].get("claimRef") is None
            and class_of(volume) == class_of(claim)
            and _attributes_class(volume) == _attributes_class(claim)
            and (selector is None or selector.matches(volume["metadata"].get("labels") or {}))
        ]
    return sorted(found, key=_preference)


def best_match(volumes: Iterable[Object], claim: Object, *, delayed: bool) -> Object | None:
    """The first of `matches`, None without any."""
    return next(iter(matches(volumes, claim, delayed=delayed)), None)


def _preference(volume: Object) -> tuple[Any, ...]:
    return len(modes_of(volume)), capacity_of(volume), volume["metadata"]["name"]
