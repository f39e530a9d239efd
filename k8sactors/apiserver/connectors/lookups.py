"""What connectors look up: a pod, its container, its node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from k8sactors.api import codec, errors
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.keys import key_of
from k8sactors.apiserver.locations import KUBELET_PORT

Object = dict[str, Any]

_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")


def stored(call: Call, resource: str, namespace: str | None, name: str) -> Object | None:
    """An object as it is stored.

    Raises:
        LookupNeededError: it has not been read yet.
    """
    state = call.lookup(key_of(resource, namespace, name))
    return None if state is None else codec.decode(state.value, state.mod_revision)


def own_object(call: Call, name: str) -> Object:
    """The object of that name of the call's resource.

    Raises:
        LookupNeededError: it has not been read yet.
        StatusError: 404.
    """
    info = call.resource.info
    found = stored(call, info.storage_name, call.namespace or None, name)
    if found is None:
        raise errors.not_found(info, name)
    return found


def chosen_container(pod: Object, name: str) -> str:
    """The container that is meant; the only one if none was named.

    Raises:
        StatusError: 400, none was named or there is none of that name.
    """
    pod_name, spec = pod["metadata"]["name"], pod["spec"]
    if name:
        known = {each["name"] for key in _CONTAINERS for each in spec.get(key) or ()}
        if name not in known:
            raise errors.bad_request(f"container {name} is not valid for pod {pod_name}")
        return name
    containers = spec["containers"]
    if len(containers) == 1:
        return str(containers[0]["name"])
    text = f"a container name must be specified for pod {pod_name}, choose one of: "
    text += f"[{_names(containers)}]"
    if spec.get("initContainers"):
        text += f" or one of the init containers: [{_names(spec['initContainers'])}]"
    raise errors.bad_request(text)


def _names(containers: Iterable[Mapping[str, Any]]) -> str:
    return " ".join(each["name"] for each in containers)


def host_of(pod: Object) -> str:
    """The pod's node.

    Raises:
        StatusError: 400, it has none.
    """
    node = pod["spec"].get("nodeName")
    if not node:
        name = pod["metadata"]["name"]
        raise errors.bad_request(f"pod {name} does not have a host assigned")
    return str(node)


def kubelet_endpoint(call: Call, node: str) -> str:
    """Address and port of a node's kubelet, as messages show it.

    Raises:
        LookupNeededError: the node has not been read yet.
        StatusError: 404, there is no such node.
    """
    found = stored(call, "nodes", None, node)
    if found is None:
        raise errors.StatusError(404, "NotFound", f'nodes "{node}" not found')
    status = found.get("status") or {}
    addresses = {each["type"]: each["address"] for each in status.get("addresses") or ()}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    address = addresses.get("InternalIP") or addresses.get("Hostname") or node
    return f"{address}:{port or KUBELET_PORT}"
