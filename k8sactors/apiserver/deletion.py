"""How an object goes: at once, after a grace period, or when its finalizers are gone.

Sources: API concepts ("Deleting objects", "Finalizers"), the documentation of garbage collection
(propagation policies) and pod termination. The rules are pure: an object and what was asked for
give a decision.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from k8sactors.api import errors, meta
from k8sactors.api.errors import Cause
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.strategy import BACKGROUND, FOREGROUND, ORPHAN

Object = dict[str, Any]

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"
SECOND_NS = 1_000_000_000


class Outcome(enum.Enum):
    """What a deletion comes to."""

    REMOVE = enum.auto()
    MARK = enum.auto()
    NOTHING = enum.auto()


class Deletion(NamedTuple):
    """The decision; `obj` is the marked object, or the last state of a removed one."""

    outcome: Outcome
    obj: Object


def decide(resource: Resource, obj: Object, options: dict[str, Any], wall_ns: int) -> Deletion:
    """What happens to `obj` when a client deletes it.

    Raises:
        StatusError: 409 for a failed precondition, 422 for options without meaning.
    """
    _check_options(resource, obj, options)
    metadata = obj["metadata"]
    finalizers = propagation_finalizers(resource, metadata, options)
    changed = finalizers != list(metadata.get("finalizers") or ())
    if resource.name == "namespaces":
        return _delete_namespace(obj, finalizers, wall_ns)
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
    metadata["deletionTimestamp"] = meta.format_time(wall_ns + period_seconds * SECOND_NS)
    metadata["deletionGracePeriodSeconds"] = period_seconds
    if metadata.get("generation"):
        metadata["generation"] += 1
    _set_finalizers(metadata, finalizers)
    return {**obj, "metadata": metadata}


def released(old: Object, new: Object) -> bool:
    """Whether this update takes away what held a deleted object: then it is removed instead."""
    before = old["metadata"]
    if not before.get("deletionTimestamp") or new["metadata"].get("finalizers"):
        return False
    if before.get("deletionGracePeriodSeconds"):
        return False
    return not (new.get("kind") == "Namespace" and (new.get("spec") or {}).get("finalizers"))


def propagation_finalizers(
    resource: Resource, metadata: Object, options: dict[str, Any]
) -> list[str]:
    """The finalizers that the propagation policy asks for, beside those that are there."""
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
        until_ns -= (period - max(requested, 0)) * SECOND_NS
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


def _delete_namespace(obj: Object, finalizers: list[str], wall_ns: int) -> Deletion:
    """A namespace is Terminating until the namespace controller has emptied it."""
    metadata = obj["metadata"]
    held = bool((obj.get("spec") or {}).get("finalizers")) or bool(finalizers)
    if not metadata.get("deletionTimestamp"):
        if not held:
            return Deletion(Outcome.REMOVE, obj)
        updated = dict(metadata)
        updated["deletionTimestamp"] = meta.format_time(wall_ns)
        _set_finalizers(updated, finalizers)
        status = {**(obj.get("status") or {}), "phase": "Terminating"}
        return Deletion(Outcome.MARK, {**obj, "metadata": updated, "status": status})
    if held:
        raise errors.conflict(
            "namespaces",
            metadata["name"],
            "The system is ensuring all content is removed from this namespace.  Upon completion, "
            "this namespace will automatically be purged by the system.",
        )
    return Deletion(Outcome.REMOVE, obj)


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


def _check_options(resource: Resource, obj: Object, options: dict[str, Any]) -> None:
    policy = options.get("propagationPolicy")
    cause: Cause | None = None
    if policy is not None and options.get("orphanDependents") is not None:
        cause = Cause(
            "propagationPolicy",
            "FieldValueInvalid",
            f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both '
            "set",
        )
    elif policy is not None and policy not in {BACKGROUND, FOREGROUND, ORPHAN}:
        cause = Cause(
            "propagationPolicy",
            "FieldValueNotSupported",
            f'Unsupported value: "{policy}": supported values: "Background", "Foreground", '
            '"Orphan"',
        )
    if cause is not None:
        raise errors.StatusError(
            422,
            "Invalid",
            f'DeleteOptions.meta.k8s.io "" is invalid: {cause}',
            causes=[cause],
            group="meta.k8s.io",
            kind="DeleteOptions",
        )
    del resource, obj


def _set_finalizers(metadata: Object, finalizers: list[str]) -> None:
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
