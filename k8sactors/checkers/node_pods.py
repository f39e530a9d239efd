"""Liveness of DaemonSets: one ready pod on each node that takes it.

Rule: documentation of DaemonSets. Only sets without a node selector or affinity are judged; the
taints of a node and the tolerations of the pods there decide.
"""

from __future__ import annotations

from collections import Counter

from k8sactors.checkers.cluster_history import ClusterHistory, Object
from k8sactors.checkers.findings import Finding

# Every daemon pod tolerates these with NoSchedule.
_OWN = frozenset({"disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"})
_PREFIX = "node.kubernetes.io/"


def check_daemon_sets_ready(history: ClusterHistory) -> list[Finding]:
    """At the end every node without a taint that keeps pods away has one ready daemon pod."""
    found = []
    for each in history.final.get("daemonsets.apps", []):
        template = each["spec"]["template"]["spec"]
        if template.get("nodeSelector") or template.get("affinity"):
            continue
        wanted = {
            node["metadata"]["name"]: 1
            for node in history.final.get("nodes", [])
            if not any(_keeps_away(taint, template) for taint in node["spec"].get("taints") or ())
        }
        have = Counter(
            pod["spec"].get("nodeName", "")
            for pod in history.final.get("pods", [])
            if _belongs(pod, each) and _is_ready(pod)
        )
        if have != wanted:
            name = each["metadata"]["name"]
            message = f"daemonset {name} should be on {sorted(wanted)}, is ready on {dict(have)}"
            found.append(Finding("daemonset-ready", message, history.end_ns))
    return found


def _keeps_away(taint: Object, template: Object) -> bool:
    if taint["effect"] == "PreferNoSchedule":
        return False
    if taint["effect"] == "NoSchedule" and taint["key"].removeprefix(_PREFIX) in _OWN:
        return False
    return not any(
        toleration.get("key") in {None, taint["key"]}
        and toleration.get("effect") in {None, taint["effect"]}
        and (
            toleration.get("operator") == "Exists"
            or toleration.get("value", "") == taint.get("value", "")
        )
        for toleration in template.get("tolerations") or ()
    )


def _belongs(pod: Object, daemon_set: Object) -> bool:
    return any(
        owner["uid"] == daemon_set["metadata"]["uid"]
        for owner in pod["metadata"].get("ownerReferences") or ()
    )


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return "deletionTimestamp" not in pod["metadata"] and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )
