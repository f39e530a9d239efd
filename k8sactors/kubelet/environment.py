"""The environment of a container, from its specification, its pod and the objects it refers to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from k8sactors.api.columns import value_at
from k8sactors.kubelet import pod_spec

# Gives the data of a ConfigMap or Secret by (resource, name); empty if it is not there.
Objects = Callable[[str, str], Mapping[str, str]]
_REFERENCE: Final = re.compile(r"\$(\$|\(([^()]*)\))")
_KEYED: Final = re.compile(r"^metadata\.(labels|annotations)\['([^']*)'\]$")


def container_environment(
    container: Mapping[str, Any],
    pod: pod_spec.Pod,
    *,
    pod_ip: str,
    host_ip: str,
    objects: Objects,
) -> dict[str, str]:
    """The variables in order; later ones may refer to those before them as `$(NAME)`."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        for key, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if key in source:
                data = objects(resource, source[key]["name"])
                found.update({prefix + name: value for name, value in data.items()})
    addresses = {"status.podIP": pod_ip, "status.podIPs": pod_ip, "status.hostIP": host_ip}
    for variable in container.get("env") or ():
        name, origin = variable["name"], variable.get("valueFrom")
        if origin is None:
            found[name] = expand(variable.get("value") or "", found)
            continue
        value = _from(origin, pod, addresses, objects)
        if value is not None:
            found[name] = value
    return found


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; unknown names stay as they are, `$$` is a dollar."""

    def put(reference: re.Match[str]) -> str:
        if reference[1] == "$":
            return "$"
        return variables.get(reference[2], reference[0])

    return _REFERENCE.sub(put, text)


def _from(
    origin: Mapping[str, Any], pod: pod_spec.Pod, addresses: Mapping[str, str], objects: Objects
) -> str | None:
    for key, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if key in origin:
            return objects(resource, origin[key]["name"]).get(origin[key]["key"])
    path = (origin.get("fieldRef") or {}).get("fieldPath")
    if path is None:
        return None
    if path in addresses:
        return addresses[path]
    keyed = _KEYED.match(path)
    if keyed is not None:
        values: Mapping[str, str] = pod["metadata"].get(keyed[1]) or {}
        return values.get(keyed[2], "")
    return str(value_at(pod, path) or "")
