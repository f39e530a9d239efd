"""Invariants of a cluster, over the changes of its objects and the state in which it ends.

Two kinds of checks. *Safety* must hold at every moment, so it is checked over the recorded changes:
a pod is bound once, a node is never promised more than it has, no two live pods share an address,
no pod runs on two nodes. *Liveness* must hold once faults are healed and the cluster has had time
to settle, so it is checked over the final objects: what is wanted exists, what lost its owner went.

Rules: a pod's node is immutable once set (API reference, Binding); a node's allocatable bounds the
sum of its pods' requests (scheduler, NodeResourcesFit); at most one pod of a name exists
(Kubernetes API conventions, names); dependents go with their last owner (garbage collection).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from k8sactors.checkers.batch import (
    check_budgets_kept,
    check_cron_job_forbid,
    check_index_once,
    check_job_parallelism,
)
from k8sactors.checkers.cluster_history import ClusterHistory, ContainerSpan, Object
from k8sactors.checkers.findings import Finding
from k8sactors.checkers.node_pods import check_daemon_sets_ready
from k8sactors.checkers.resources import Amounts, allocatable_of, requests_of
from k8sactors.checkers.stateful import (
    check_claims_keep_their_volume,
    check_one_pod_per_identity,
    check_stateful_sets_ready,
    check_volume_bound_once,
)


def check_bound_once(history: ClusterHistory) -> list[Finding]:
    """A pod's node never changes once it is set."""
    found = []
    node_of: dict[str, str] = {}
    for change in history.changes:
        node = change.object.get("spec", {}).get("nodeName")
        if change.resource != "pods" or not node:
            continue
        first = node_of.setdefault(_uid(change.object), node)
        if node != first:
            message = f"pod {_name(change.object)} was bound to {first} and then to {node}"
            found.append(Finding("pod-bound-once", message, change.time_ns))
            node_of[_uid(change.object)] = node
    return found


def check_not_overcommitted(history: ClusterHistory) -> list[Finding]:
    """The requests of the pods of a node never exceed its allocatable cpu, memory and pods."""
    found = []
    nodes: dict[str, Amounts] = {}
    placed: dict[str, tuple[str, Amounts]] = {}
    used: dict[str, Amounts] = {}
    for change in history.changes:
        if change.resource == "nodes":
            nodes[change.object["metadata"]["name"]] = allocatable_of(change.object)
            continue
        if change.resource != "pods":
            continue
        uid = _uid(change.object)
        before = placed.pop(uid, None)
        if before is not None:
            used[before[0]] = used[before[0]] - before[1]
        if change.type == "DELETED" or not _occupies(change.object):
            continue
        node = change.object["spec"]["nodeName"]
        amounts = requests_of(change.object)
        placed[uid] = (node, amounts)
        used[node] = used.get(node, Amounts()) + amounts
        if before is not None or node not in nodes:
            continue
        for resource in used[node].beyond(nodes[node]):
            message = (
                f"binding pod {_name(change.object)} takes {resource} of node {node} to "
                f"{getattr(used[node], resource)} of {getattr(nodes[node], resource)}"
            )
            found.append(Finding("node-not-overcommitted", message, change.time_ns))
    return found


def check_ips_unique(history: ClusterHistory) -> list[Finding]:
    """No two live pods have the same address (pods on the host's network share the host's)."""
    found = []
    holder: dict[str, Object] = {}
    address_of: dict[str, str] = {}
    for change in history.changes:
        if change.resource != "pods" or change.object.get("spec", {}).get("hostNetwork"):
            continue
        pod = change.object
        address = pod.get("status", {}).get("podIP")
        old = address_of.pop(_uid(pod), None)
        if old is not None and _uid(holder.get(old, pod)) == _uid(pod):
            holder.pop(old, None)
        if not address or change.type == "DELETED" or _is_terminal(pod):
            continue
        other = holder.get(address)
        if other is not None and old is None:
            message = f"pods {_name(other)} and {_name(pod)} both have address {address}"
            found.append(Finding("pod-ip-unique", message, change.time_ns))
        holder[address] = pod
        address_of[_uid(pod)] = address
    return found


def check_runs_once(history: ClusterHistory) -> list[Finding]:
    """No pod of one name runs on two nodes at the same time."""
    found = []
    by_pod: dict[tuple[str, str], list[ContainerSpan]] = {}
    for span in sorted(history.spans, key=lambda each: each.started_ns):
        earlier = by_pod.setdefault((span.namespace, span.pod), [])
        for other in earlier:
            ended = history.end_ns + 1 if other.stopped_ns is None else other.stopped_ns
            if other.node != span.node and span.started_ns < ended:
                message = (
                    f"pod {span.namespace}/{span.pod} started on {span.node} "
                    f"while it ran on {other.node}"
                )
                found.append(Finding("pod-runs-once", message, span.started_ns))
        earlier.append(span)
    return found


def check_dependents_collected(history: ClusterHistory) -> list[Finding]:
    """At the end nothing is left whose owners are all gone."""
    alive = {_uid(each) for _, each in history.all_final()}
    found = []
    for resource, each in history.all_final():
        owners = each["metadata"].get("ownerReferences") or []
        if owners and all(owner["uid"] not in alive for owner in owners):
            gone = ", ".join(f"{owner['kind']} {owner['name']}" for owner in owners)
            message = f"{resource} {_name(each)} is left although its owner is gone: {gone}"
            found.append(Finding("dependents-collected", message, history.end_ns))
    return found


def check_deployments_ready(history: ClusterHistory) -> list[Finding]:
    """At the end every Deployment has the replicas that its spec asks for, all of them ready.

    The status alone would not do: while no controller leads, it tells of the past. So the pods are
    counted as well, wherever they are part of the history.
    """
    found = []
    for each in history.final.get("deployments.apps", []):
        wanted = each.get("spec", {}).get("replicas", 1)
        status = each.get("status", {})
        seen = {
            name: status.get(name, 0)
            for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        }
        selector = (each.get("spec", {}).get("selector") or {}).get("matchLabels")
        if selector and "pods" in history.final:
            namespace = each["metadata"].get("namespace", "")
            pods = _selected(history, namespace, selector)
            seen["pods"] = len(pods)
            seen["ready pods"] = sum(map(_is_ready, pods))
        if any(number != wanted for number in seen.values()):
            told = ", ".join(f"{name} {number}" for name, number in seen.items())
            message = f"deployment {_name(each)} wants {wanted} replicas, has {told}"
            found.append(Finding("deployment-ready", message, history.end_ns))
    return found


def check_namespaces_exist(history: ClusterHistory) -> list[Finding]:
    """At the end no object lives in a namespace that does not exist."""
    if "namespaces" not in history.final:
        return []
    names = {each["metadata"]["name"] for each in history.final["namespaces"]}
    return [
        Finding(
            "namespace-exists",
            f"{resource} {_name(each)} is in a namespace that does not exist",
            history.end_ns,
        )
        for resource, each in history.all_final()
        if each["metadata"].get("namespace") and each["metadata"]["namespace"] not in names
    ]


def check_nodes_exist(history: ClusterHistory) -> list[Finding]:
    """At the end no pod is bound to a node that does not exist."""
    if "nodes" not in history.final:
        return []
    names = {each["metadata"]["name"] for each in history.final["nodes"]}
    return [
        Finding(
            "pod-node-exists",
            f"pod {_name(pod)} is bound to node {pod['spec']['nodeName']}, which does not exist",
            history.end_ns,
        )
        for pod in history.final.get("pods", [])
        if pod.get("spec", {}).get("nodeName") and pod["spec"]["nodeName"] not in names
    ]


def check_services_routed(history: ClusterHistory) -> list[Finding]:
    """At the end the ready addresses of a Service are those of the ready pods that it selects."""
    found = []
    for service in history.final.get("services", []):
        selector = service.get("spec", {}).get("selector")
        if not selector or "endpointslices.discovery.k8s.io" not in history.final:
            continue
        wanted = _ready_addresses(history, service["metadata"]["namespace"], selector)
        routed = _routed_addresses(history, service)
        if wanted != routed:
            message = (
                f"service {_name(service)} routes to {sorted(routed) or 'nothing'}, "
                f"its ready pods are {sorted(wanted) or 'none'}"
            )
            found.append(Finding("service-routed", message, history.end_ns))
    return found


# Checks that hold at every moment, also while faults last.
SAFETY: Sequence[Callable[[ClusterHistory], list[Finding]]] = (
    check_bound_once,
    check_not_overcommitted,
    check_ips_unique,
    check_runs_once,
    check_job_parallelism,
    check_index_once,
    check_cron_job_forbid,
    check_budgets_kept,
    check_one_pod_per_identity,
    check_volume_bound_once,
    check_claims_keep_their_volume,
)

# Checks of the final state, meaningful once the cluster has settled.
LIVENESS: Sequence[Callable[[ClusterHistory], list[Finding]]] = (
    check_dependents_collected,
    check_deployments_ready,
    check_stateful_sets_ready,
    check_daemon_sets_ready,
    check_namespaces_exist,
    check_nodes_exist,
    check_services_routed,
)


def check_safety(history: ClusterHistory) -> list[Finding]:
    """All checks of what must hold at every moment."""
    return [finding for check in SAFETY for finding in check(history)]


def check_liveness(history: ClusterHistory) -> list[Finding]:
    """All checks of what must hold at the end."""
    return [finding for check in LIVENESS for finding in check(history)]


def _selected(history: ClusterHistory, namespace: str, selector: Object) -> list[Object]:
    """The pods that a selector means and that are here to stay."""
    return [
        pod
        for pod in history.final.get("pods", [])
        if pod["metadata"].get("namespace") == namespace
        and selector.items() <= (pod["metadata"].get("labels") or {}).items()
        and "deletionTimestamp" not in pod["metadata"]
        and not _is_terminal(pod)
    ]


def _ready_addresses(history: ClusterHistory, namespace: str, selector: Object) -> set[str]:
    return {
        pod["status"]["podIP"]
        for pod in _selected(history, namespace, selector)
        if pod.get("status", {}).get("podIP") and _is_ready(pod)
    }


def _routed_addresses(history: ClusterHistory, service: Object) -> set[str]:
    metadata = service["metadata"]
    return {
        address
        for part in history.final["endpointslices.discovery.k8s.io"]
        if part["metadata"].get("namespace") == metadata["namespace"]
        and (part["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        == metadata["name"]
        for endpoint in part.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint["addresses"]
    }


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _is_terminal(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def _occupies(pod: Object) -> bool:
    return bool(pod.get("spec", {}).get("nodeName")) and not _is_terminal(pod)


def _uid(each: Object) -> str:
    uid: str = each["metadata"]["uid"]
    return uid


def _name(each: Object) -> str:
    metadata = each["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
