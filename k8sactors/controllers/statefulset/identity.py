"""The identity of a pod of a StatefulSet: its ordinal, name, host name and claims.

Source: documentation of StatefulSets, "Pod Identity". Pure functions.
"""

from __future__ import annotations

import re
from typing import Any, Final

from k8sactors.controllers.machinery.pod_control import pod_from_template
from k8sactors.controllers.machinery.revisions import REVISION_LABEL, template_of

Object = dict[str, Any]
POD_NAME_LABEL: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"
_NAME: Final = re.compile(r"(.*)-([0-9]+)")


def parent_and_ordinal(name: str) -> tuple[str, int]:
    """The set that a pod's name speaks of, and the ordinal; ("", -1) when it has none."""
    found = _NAME.fullmatch(name)
    return (found[1], int(found[2])) if found else ("", -1)


def ordinal_of(pod: Object) -> int:
    """The ordinal in a pod's name."""
    return parent_and_ordinal(pod["metadata"]["name"])[1]


def is_member(pod: Object, stateful_set: Object) -> bool:
    """Whether the pod's name is one that the set would give."""
    name: str = stateful_set["metadata"]["name"]
    return parent_and_ordinal(pod["metadata"]["name"])[0] == name


def replicas_of(stateful_set: Object) -> int:
    """`spec.replicas`, 1 when it is not set."""
    count = stateful_set["spec"].get("replicas")
    return 1 if count is None else int(count)


def start_of(stateful_set: Object) -> int:
    """`spec.ordinals.start`: the lowest ordinal."""
    return int((stateful_set["spec"].get("ordinals") or {}).get("start") or 0)


def in_range(ordinal: int, stateful_set: Object) -> bool:
    """Whether the set wants a pod of this ordinal."""
    start = start_of(stateful_set)
    return start <= ordinal < start + replicas_of(stateful_set)


def claim_templates(stateful_set: Object) -> list[Object]:
    """`spec.volumeClaimTemplates`."""
    return stateful_set["spec"].get("volumeClaimTemplates") or []


def claim_name(template: Object, stateful_set: Object, ordinal: int) -> str:
    """The name of a claim: that of its template and of the pod."""
    return f"{template['metadata']['name']}-{stateful_set['metadata']['name']}-{ordinal}"


def claims_for(stateful_set: Object, ordinal: int) -> list[Object]:
    """The claims of one pod, as they are created."""
    labels = stateful_set["spec"]["selector"].get("matchLabels") or {}
    claims = []
    for template in claim_templates(stateful_set):
        metadata = template["metadata"]
        kept = {
            "name": claim_name(template, stateful_set, ordinal),
            "namespace": stateful_set["metadata"]["namespace"],
            "labels": {**(metadata.get("labels") or {}), **labels},
        }
        if metadata.get("annotations"):
            kept["annotations"] = metadata["annotations"]
        claims.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": kept,
                "spec": template["spec"],
            }
        )
    return claims


def _volumes(spec: Object, stateful_set: Object, ordinal: int) -> list[Object]:
    """The claims as volumes; one of the template with the same name gives way."""
    claimed = {
        template["metadata"]["name"]: claim_name(template, stateful_set, ordinal)
        for template in claim_templates(stateful_set)
    }
    volumes = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim}}
        for name, claim in claimed.items()
    ]
    return volumes + [each for each in spec.get("volumes") or () if each["name"] not in claimed]


def pod_for(stateful_set: Object, ordinal: int, revision: Object) -> Object:
    """The pod of an ordinal at a revision."""
    template = template_of(stateful_set, revision)
    body = pod_from_template(template, stateful_set)
    name = f"{stateful_set['metadata']['name']}-{ordinal}"
    spec = {**body["spec"], "hostname": name, "subdomain": stateful_set["spec"].get("serviceName")}
    if not spec["subdomain"]:
        del spec["subdomain"]
    volumes = _volumes(spec, stateful_set, ordinal)
    if volumes:
        spec["volumes"] = volumes
    labels = {
        **(body["metadata"].get("labels") or {}),
        POD_NAME_LABEL: name,
        POD_INDEX_LABEL: str(ordinal),
        REVISION_LABEL: revision["metadata"]["name"],
    }
    return {
        **body,
        "metadata": {**body["metadata"], "name": name, "labels": labels},
        "spec": spec,
    }


def revision_name(pod: Object) -> str:
    """The name of the revision that the pod was made from."""
    return (pod["metadata"].get("labels") or {}).get(REVISION_LABEL) or ""


def corrected(pod: Object) -> Object | None:
    """The pod with the labels of its identity, None when it has them.

    The host name and the volumes of a pod cannot be changed any more.
    """
    name, labels = pod["metadata"]["name"], pod["metadata"].get("labels") or {}
    wanted = {POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal_of(pod))}
    if wanted.items() <= labels.items():
        return None
    return {**pod, "metadata": {**pod["metadata"], "labels": {**labels, **wanted}}}
