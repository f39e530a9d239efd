"""Invariants of a cluster, over the changes of its objects and the state in which it ends.

Two kinds of checks. *Safety* must hold at every moment, so it is checked over the recorded changes:
a pod is bound once, a node is never promised more than it has, no two live pods share an address,
no pod runs on two nodes. *Liveness* must hold once faults are healed and the cluster has had time
to settle, so it is checked over the final objects: what is wanted exists, what lost its owner went.

Rules: a pod's node is immutable once set (API reference, Binding); a node's allocatable bounds the
sum of its pods' requests (scheduler, NodeResourcesFit); at most one pod of a name exists
(Kubernetes API conventions, names); dependents go with their last owner (garbage collection).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from k8sactors.checkers.findings import Finding
from k8sactors.checkers.resources import Amounts, allocatable_of, requests_of

Object = Mapping[str, Any]


@frozen
class ObjectChange:
    """One change of one object, as a watch from the beginning delivers it.

    Attributes:
        time_ns: virtual time of the change.
        type: "ADDED", "MODIFIED" or "DELETED".
        resource: plural name with group ("pods", "deployments.apps").
        object: the object after the change (for DELETED: its last state).
    """

    time_ns: int
    type: str
    resource: str
    object: Object


@frozen
class ContainerSpan:
    """A container runtime ran a pod's sandbox on a node during this time (None: still runs)."""

    node: str
    namespace: str
    pod: str
    started_ns: int
    stopped_ns: int | None = None


@define
class ClusterHistory:
    """Everything that the Kubernetes checks look at.

    Attributes:
        changes: in order of resource version.
        final: the objects at the end, by resource.
        spans: what container runtimes really ran.
        end_ns: virtual time of the end.
    """

    changes: list[ObjectChange] = field(factory=list)
    final: dict[str, list[Object]] = field(factory=dict)
    spans: list[ContainerSpan] = field(factory=list)
    end_ns: int = 0

    def all_final(self) -> list[tuple[str, Object]]:
        """Every final object with its resource."""
        return [(resource, each) for resource, objects in self.final.items() for each in objects]


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


SAFETY: Sequence[Callable[[ClusterHistory], list[Finding]]] = (
    check_bound_once,
    check_not_overcommitted,
    check_ips_unique,
    check_runs_once,
)
"""Checks that hold at every moment, also while faults last."""

LIVENESS: Sequence[Callable[[ClusterHistory], list[Finding]]] = (
    check_dependents_collected,
    check_deployments_ready,
    check_namespaces_exist,
    check_nodes_exist,
    check_services_routed,
)
"""Checks of the final state, meaningful once the cluster has settled."""


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
