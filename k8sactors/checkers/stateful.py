"""Invariants of StatefulSets and of persistent volumes.

Rules: at most one pod with a given identity runs in the cluster at any time (documentation of
StatefulSets, "Deployment and Scaling Guarantees"); a binding of claim and volume is exclusive and
one to one (documentation of persistent volumes, "Binding").
"""

from __future__ import annotations

from k8sactors.checkers.cluster_history import ClusterHistory, ContainerSpan, Object
from k8sactors.checkers.findings import Finding

_VOLUMES = "persistentvolumes"
_CLAIMS = "persistentvolumeclaims"


def _identity(pod: Object) -> tuple[str, int] | None:
    """UID of the StatefulSet that controls a pod, and the ordinal in the pod's name."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] == "StatefulSet":
            prefix, _, ordinal = pod["metadata"]["name"].rpartition("-")
            if prefix == owner["name"] and ordinal.isdecimal():
                return owner["uid"], int(ordinal)
    return None


def check_one_pod_per_identity(history: ClusterHistory) -> list[Finding]:
    """No ordinal of a StatefulSet has two pods, and no two sandboxes of one overlap."""
    found = []
    holder: dict[tuple[str, int], str] = {}
    names: set[tuple[str, str]] = set()
    for change in history.changes:
        identity = _identity(change.object) if change.resource == "pods" else None
        if identity is None:
            continue
        metadata = change.object["metadata"]
        names.add((metadata["namespace"], metadata["name"]))
        other = holder.get(identity)
        if change.type == "DELETED":
            if other == metadata["uid"]:
                del holder[identity]
            continue
        if other not in {None, metadata["uid"]}:
            message = f"two pods at once are {metadata['namespace']}/{metadata['name']}"
            found.append(Finding("stateful-identity", message, change.time_ns))
        holder[identity] = metadata["uid"]
    return found + _overlapping(history, names)


def _overlapping(history: ClusterHistory, names: set[tuple[str, str]]) -> list[Finding]:
    found = []
    last: dict[tuple[str, str], ContainerSpan] = {}
    for span in sorted(history.spans, key=lambda each: each.started_ns):
        name = span.namespace, span.pod
        if name not in names:
            continue
        before = last.get(name)
        if before is not None and (
            before.stopped_ns is None or before.stopped_ns > span.started_ns
        ):
            message = (
                f"pod {span.namespace}/{span.pod} of a StatefulSet started on {span.node} "
                f"while its namesake ran on {before.node}"
            )
            found.append(Finding("stateful-identity", message, span.started_ns))
        last[name] = span
    return found


def check_volume_bound_once(history: ClusterHistory) -> list[Finding]:
    """No volume is the volume of two claims at once, by what the claims say."""
    found = []
    users: dict[str, dict[str, str]] = {}
    volume_of: dict[str, str] = {}
    for change in history.changes:
        if change.resource != _CLAIMS:
            continue
        claim = change.object
        uid = claim["metadata"]["uid"]
        name = f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
        bound = claim.get("status", {}).get("phase") == "Bound"
        volume = claim["spec"].get("volumeName") if bound and change.type != "DELETED" else None
        before = volume_of.pop(uid, None)
        if before is not None:
            users[before].pop(uid, None)
        if not volume:
            continue
        volume_of[uid] = volume
        others = users.setdefault(volume, {})
        if others and before != volume:
            message = f"volume {volume} is bound to {name} and to {', '.join(others.values())}"
            found.append(Finding("volume-bound-once", message, change.time_ns))
        others[uid] = name
    return found


def check_claims_keep_their_volume(history: ClusterHistory) -> list[Finding]:
    """A bound claim never changes its volume, and a bound volume never its claim."""
    found = []
    partner: dict[str, str] = {}
    for change in history.changes:
        if change.resource not in {_CLAIMS, _VOLUMES}:
            continue
        obj = change.object
        if obj.get("status", {}).get("phase") != "Bound":
            continue
        if change.resource == _CLAIMS:
            other = obj["spec"].get("volumeName")
        else:
            other = (obj["spec"].get("claimRef") or {}).get("uid")
        first = partner.setdefault(obj["metadata"]["uid"], other or "")
        if other and other != first:
            name = obj["metadata"]["name"]
            message = f"{change.resource} {name} was bound to {first} and then to {other}"
            found.append(Finding("binding-kept", message, change.time_ns))
            partner[obj["metadata"]["uid"]] = other
    return found


def check_stateful_sets_ready(history: ClusterHistory) -> list[Finding]:
    """At the end every StatefulSet has exactly the pods of its ordinals, all of them ready."""
    found = []
    for each in history.final.get("statefulsets.apps", []):
        metadata, spec = each["metadata"], each["spec"]
        start = (spec.get("ordinals") or {}).get("start", 0)
        ordinals = range(start, start + spec.get("replicas", 1))
        wanted = [f"{metadata['name']}-{ordinal}" for ordinal in ordinals]
        have = sorted(
            pod["metadata"]["name"]
            for pod in history.final.get("pods", [])
            if (_identity(pod) or ("", 0))[0] == metadata["uid"] and _is_ready(pod)
        )
        if have != sorted(wanted):
            message = f"statefulset {metadata['name']} wants {wanted}, its ready pods are {have}"
            found.append(Finding("statefulset-ready", message, history.end_ns))
    return found


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return "deletionTimestamp" not in pod["metadata"] and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )
