"""Where the pods of a DaemonSet belong, and what ties each to its node.

The controller chooses the nodes and the default scheduler binds: a daemon pod carries a required
node affinity to one name. Sources: documentation of DaemonSets, "How Daemon Pods are scheduled"
and "Taints and tolerations".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from k8sactors.controllers.machinery.node_affinity import fits_node
from k8sactors.controllers.machinery.pod_control import pod_from_template
from k8sactors.controllers.machinery.pods import is_finished
from k8sactors.controllers.machinery.revisions import REVISION_LABEL
from k8sactors.controllers.machinery.taints import (
    NO_EXECUTE,
    NO_SCHEDULE,
    NOT_READY,
    UNREACHABLE,
    UNSCHEDULABLE,
    taints_of,
    tolerates,
)

Object = dict[str, Any]
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
_NAME_FIELD = "metadata.name"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_TOLERATED = (
    (NOT_READY, NO_EXECUTE),
    (UNREACHABLE, NO_EXECUTE),
    ("node.kubernetes.io/disk-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/memory-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/pid-pressure", NO_SCHEDULE),
    (UNSCHEDULABLE, NO_SCHEDULE),
)
_TOLERATED_ON_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", NO_SCHEDULE)


def _tolerations(pod_spec: Object) -> list[Object]:
    """The template's tolerations and those that every daemon pod has."""
    wanted = list(_TOLERATED)
    if pod_spec.get("hostNetwork"):
        wanted.append(_TOLERATED_ON_HOST_NETWORK)
    found = list(pod_spec.get("tolerations") or ())
    for key, effect in wanted:
        toleration = {"key": key, "operator": "Exists", "effect": effect}
        if toleration not in found:
            found.append(toleration)
    return found


@attrs.frozen
class Verdict:
    """Whether a node should get a daemon pod, and whether one that is there may stay."""

    should_run: bool
    may_continue: bool


_NEVER = Verdict(should_run=False, may_continue=False)


class Placement:
    """The rules of one DaemonSet; made once for all nodes."""

    def __init__(self, daemon_set: Object) -> None:
        self._daemon_set = daemon_set
        self._spec: Object = daemon_set["spec"]["template"]["spec"]
        self._tolerations = _tolerations(self._spec)

    def judge(self, node: Object) -> Verdict:
        """What the DaemonSet wants of a node."""
        if self._spec.get("nodeName") not in {None, "", node["metadata"]["name"]}:
            return _NEVER
        if not fits_node(self._spec, node):
            return _NEVER
        untolerated = {
            taint["effect"]
            for taint in taints_of(node)
            if not any(tolerates(each, taint) for each in self._tolerations)
        }
        return Verdict(
            should_run=not untolerated & {NO_SCHEDULE, NO_EXECUTE},
            may_continue=NO_EXECUTE not in untolerated,
        )

    def pod_for(self, node_name: str, digest: str) -> Object:
        """The pod for one node, at the revision with this hash."""
        metadata = self._daemon_set["metadata"]
        affinity = self._spec.get("affinity") or {}
        field = {"key": _NAME_FIELD, "operator": "In", "values": [node_name]}
        # The DaemonSet has looked at its own terms already; those of the template give way.
        node_affinity = {
            **(affinity.get("nodeAffinity") or {}),
            _REQUIRED: {"nodeSelectorTerms": [{"matchFields": [field]}]},
        }
        body = pod_from_template(self._daemon_set["spec"]["template"], self._daemon_set)
        labels = {**(body["metadata"].get("labels") or {}), REVISION_LABEL: digest}
        generation = (metadata.get("annotations") or {}).get(TEMPLATE_GENERATION)
        if generation is not None:
            labels[GENERATION_LABEL] = generation
        body["metadata"]["labels"] = labels
        body["spec"] = {
            **body["spec"],
            "affinity": {**affinity, "nodeAffinity": node_affinity},
            "tolerations": self._tolerations,
        }
        return body


def node_of(pod: Object) -> str:
    """The node that a daemon pod is on, or is meant for; "" when it says neither."""
    bound = pod["spec"].get("nodeName")
    if bound:
        return str(bound)
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    for term in (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == _NAME_FIELD and len(field.get("values") or ()) == 1:
                return str(field["values"][0])
    return ""


def by_node(pods: Iterable[Object]) -> dict[str, list[Object]]:
    """The pods of each node, oldest first; what has ended and is being deleted does not count."""
    nodes: dict[str, list[Object]] = {}
    for pod in pods:
        if "deletionTimestamp" in pod["metadata"] and is_finished(pod):
            continue
        nodes.setdefault(node_of(pod), []).append(pod)
    for found in nodes.values():
        found.sort(key=_age)
    return nodes


def _age(pod: Object) -> tuple[bool, str, str]:
    # Pods that are bound come first, as podByCreationTimestampAndPhase of the real controller.
    return (
        not pod["spec"].get("nodeName"),
        pod["metadata"].get("creationTimestamp") or "",
        pod["metadata"]["name"],
    )


def has_revision(pod: Object, daemon_set: Object, digest: str) -> bool:
    """Whether a pod was made from the DaemonSet's present template."""
    labels = pod["metadata"].get("labels") or {}
    if labels.get(REVISION_LABEL) == digest:
        return True
    annotations = daemon_set["metadata"].get("annotations") or {}
    generation = annotations.get(TEMPLATE_GENERATION)
    return generation is not None and labels.get(GENERATION_LABEL) == generation
