"""How an object goes: at once, after a grace period, or when its finalizers are gone.

Sources: API concepts ("Deleting objects", "Finalizers"), the documentation of garbage collection
(propagation policies) and pod termination. The rules are pure: an object and what was asked for
give a decision.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import errors, meta
from k8sactors.api.effects import Deletion, Outcome
from k8sactors.api.strategy import BACKGROUND, FOREGROUND, ORPHAN
from k8sactors.apiserver.resource import Resource
from k8sactors.simulation import SECOND

Object = dict[str, Any]

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"


def decide(resource: Resource, obj: Object, options: dict[str, Any], wall_ns: int) -> Deletion:
    """What happens to `obj` when a client deletes it.

    Raises:
        StatusError: 409, it cannot be deleted now.
    """
    metadata = obj["metadata"]
    finalizers = propagation_finalizers(resource, metadata, options)
    changed = finalizers != list(metadata.get("finalizers") or ())
    decided = resource.strategy.decide_deletion(obj, finalizers, wall_ns)
    if decided is not None:
        return decided
    requested = options.get("gracePeriodSeconds")
    if metadata.get("deletionTimestamp"):
        return _delete_again(obj, finalizers, requested, changed=changed)
    period = resource.strategy.grace_period(obj, requested)
    if period > 0 or finalizers:
        return Deletion(Outcome.MARK, mark(obj, finalizers, period, wall_ns))
    return Deletion(Outcome.REMOVE, obj)


def mark(obj: Object, finalizers: list[str], period_seconds: int, wall_ns: int) -> Object:
    """The object with its time of deletion, which counts as a new generation."""
    metadata = dict(obj["metadata"])
    metadata["deletionTimestamp"] = meta.format_time(wall_ns + period_seconds * SECOND)
    metadata["deletionGracePeriodSeconds"] = period_seconds
    if metadata.get("generation"):
        metadata["generation"] += 1
    _set_finalizers(metadata, finalizers)
    return {**obj, "metadata": metadata}


def propagation_finalizers(
    resource: Resource, metadata: Object, options: dict[str, Any]
) -> list[str]:
    """The finalizers that the propagation policy asks for, next to those that are there."""
    policy = options.get("propagationPolicy")
    orphan_dependents = options.get("orphanDependents")
    present = list(metadata.get("finalizers") or ())
    if orphan_dependents is not None:
        policy = ORPHAN if orphan_dependents else BACKGROUND
    elif policy is None:
        if ORPHAN_FINALIZER in present or FOREGROUND_FINALIZER in present:
            return present
        policy = resource.strategy.default_propagation
    wanted = {FOREGROUND: FOREGROUND_FINALIZER, ORPHAN: ORPHAN_FINALIZER}.get(policy)
    finalizers = [
        name
        for name in present
        if name not in {FOREGROUND_FINALIZER, ORPHAN_FINALIZER} or name == wanted
    ]
    if wanted and wanted not in finalizers:
        finalizers.append(wanted)
    return finalizers


def _delete_again(
    obj: Object, finalizers: list[str], requested: int | None, *, changed: bool
) -> Deletion:
    """A second delete may shorten the grace period, never lengthen it."""
    metadata = obj["metadata"]
    period = metadata.get("deletionGracePeriodSeconds") or 0
    if period and requested is not None and requested < period:
        if requested == 0 and not finalizers:
            return Deletion(Outcome.REMOVE, obj)
        until_ns = meta.parse_time(metadata["deletionTimestamp"])
        until_ns -= (period - max(requested, 0)) * SECOND
        shortened = {
            **metadata,
            "deletionTimestamp": meta.format_time(until_ns),
            "deletionGracePeriodSeconds": max(requested, 0),
        }
        _set_finalizers(shortened, finalizers)
        return Deletion(Outcome.MARK, {**obj, "metadata": shortened})
    if changed:
        updated = dict(metadata)
        _set_finalizers(updated, finalizers)
        return Deletion(Outcome.MARK, {**obj, "metadata": updated})
    if not period and not finalizers:
        return Deletion(Outcome.REMOVE, obj)
    return Deletion(Outcome.NOTHING, obj)


def check_preconditions(
    resource: Resource, obj: Object, mod_revision: int, options: dict[str, Any]
) -> None:
    """Refuse a deletion that means another object or another version.

    Raises:
        StatusError: 409.
    """
    preconditions = options.get("preconditions") or {}
    metadata = obj["metadata"]
    uid = preconditions.get("uid")
    if uid and uid != metadata.get("uid"):
        raise errors.conflict(
            resource.info,
            metadata["name"],
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
            f"{metadata.get('uid')}",
        )
    version = preconditions.get("resourceVersion")
    if version and str(version) != str(mod_revision):
        raise errors.conflict(
            resource.info,
            metadata["name"],
            f"Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in "
            f"object meta: {mod_revision}",
        )


def _set_finalizers(metadata: Object, finalizers: list[str]) -> None:
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
