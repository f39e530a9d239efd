"""Who owns the claims of a StatefulSet: `persistentVolumeClaimRetentionPolicy` (KEP-1847).

A claim that shall go with the set is owned by the set, one that shall go when its pod is scaled
away by that pod: the garbage collector does the rest. Pure functions.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api.meta import controller_of, owner_reference
from k8sactors.controllers.statefulset.identity import in_range, ordinal_of

Object = dict[str, Any]


def _deletes(stateful_set: Object) -> tuple[bool, bool]:
    """Whether claims go when their pod is scaled away, and when the set is deleted."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenScaled") == "Delete", policy.get("whenDeleted") == "Delete"


def deletes_when_scaled(stateful_set: Object) -> bool:
    """Whether the claims of a pod that is scaled away go with it."""
    return _deletes(stateful_set)[0]


def owned_by_former_pod(claim: Object, pod_name: str) -> bool:
    """Whether an earlier pod of that name owns the claim, which is about to go with it."""
    references = claim["metadata"].get("ownerReferences") or ()
    return any(each["kind"] == "Pod" and each["name"] == pod_name for each in references)


def with_owners(claim: Object, stateful_set: Object, pod: Object) -> Object | None:
    """The claim with the owners that the policy asks for, None when it has them.

    A claim that another object controls is left alone.
    """
    set_uid, pod_uid = stateful_set["metadata"]["uid"], pod["metadata"].get("uid")
    controller = controller_of(claim)
    if controller is not None and controller["uid"] not in {set_uid, pod_uid}:
        return None
    scaled, deleted = _deletes(stateful_set)
    scaled_away = not in_range(ordinal_of(pod), stateful_set)
    by_pod = scaled and scaled_away
    references = list(claim["metadata"].get("ownerReferences") or ())
    kept = [each for each in references if each["uid"] not in {set_uid, pod_uid}]
    if by_pod and pod_uid is not None:
        kept.append(owner_reference(pod))
    elif deleted and not by_pod:
        kept.append(owner_reference(stateful_set))
    if {each["uid"] for each in kept} == {each["uid"] for each in references}:
        return None
    return {**claim, "metadata": {**claim["metadata"], "ownerReferences": kept}}
