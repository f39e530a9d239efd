"""Proxy of pods, services and nodes: `[scheme:]name[:port]`."""

from __future__ import annotations

from typing import Any, Final

from k8sactors.actors.forwarding import Destination
from k8sactors.api import codec, errors, streaming
from k8sactors.apiserver.admission_chain import Cluster
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.connectors.lookups import kubelet_endpoint, own_object
from k8sactors.apiserver.locations import Location, of_connection, of_node_page

Object = dict[str, Any]

_SCHEMES: Final = frozenset({"http", "https", ""})
_SLICES: Final = "endpointslices.discovery.k8s.io"
_SERVICE_NAME: Final = "kubernetes.io/service-name"


def split_name(text: str) -> tuple[str, str, str]:
    """Scheme, name and port of what a proxy is asked for.

    Raises:
        StatusError: 400.
    """
    parts = text.split(":")
    match parts:
        case [name]:
            found = "", name, ""
        case [name, port]:
            found = "", name, port
        case [scheme, name, port] if scheme in _SCHEMES:
            found = scheme, name, port
        case _:
            raise errors.bad_request(f'invalid service request "{text}"')
    if not found[1]:
        raise errors.bad_request(f'invalid service request "{text}"')
    return found


def _dial(node: str, ip: str, port: int) -> Location:
    destination = Destination(f"{node}/dataplane", streaming.DIAL, [ip, port])
    return of_connection(destination, f"{ip}:{port}")


def _pod(call: Call, _cluster: Cluster) -> Location:
    _, name, port_text = split_name(call.name)
    pod = own_object(call, name)
    ip = (pod.get("status") or {}).get("podIP")
    if not ip:
        raise errors.bad_request("address not allowed")
    return _dial(pod["spec"].get("nodeName") or "", ip, _pod_port(pod, port_text))


def _pod_port(pod: Object, text: str) -> int:
    declared = [
        each for container in pod["spec"]["containers"] for each in container.get("ports") or ()
    ]
    if not text:
        return int(declared[0]["containerPort"]) if declared else 80
    if text.isdecimal():
        return int(text)
    for each in declared:
        if each.get("name") == text:
            return int(each["containerPort"])
    raise errors.bad_request(f'no port named "{text}"')


def _service(call: Call, cluster: Cluster) -> Location:
    _, name, port_text = split_name(call.name)
    service = own_object(call, name)
    ports = service["spec"].get("ports") or []
    if not port_text and len(ports) == 1:
        wanted = ports[0]
    else:
        numbered = [each for each in ports if port_text in {str(each["port"]), each.get("name")}]
        if not numbered:
            text = f'no service port "{port_text}" found for service "{name}"'
            raise errors.service_unavailable(text)
        wanted = numbered[0]
    candidates = _endpoints(call, cluster, name, wanted.get("name") or "")
    if not candidates:
        raise errors.service_unavailable(f'no endpoints available for service "{call.name}"')
    node, ip, port = call.environment.random.choice(candidates)
    return _dial(node, ip, port)


def _endpoints(
    call: Call, cluster: Cluster, service: str, port_name: str
) -> list[tuple[str, str, int]]:
    """Node, address and port of all that are ready."""
    found: list[tuple[str, str, int]] = []
    for state in cluster.stored(_SLICES, call.namespace):
        part = codec.decode(state.value, 0)
        if (part["metadata"].get("labels") or {}).get(_SERVICE_NAME) != service:
            continue
        ports = [
            each["port"]
            for each in part.get("ports") or ()
            if (each.get("name") or "") == port_name
        ]
        for endpoint in part.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True) and ports:
                node = endpoint.get("nodeName") or ""
                found += [(node, address, ports[0]) for address in endpoint["addresses"]]
    return found


def _node(call: Call, _cluster: Cluster) -> Location:
    _, name, _ = split_name(call.name)
    own_object(call, name)
    payload = ["", "", "", {key: call.options.get(key) for key in ("path", "method")}]
    destination = Destination(f"{name}/kubelet", streaming.KUBELET_PROXY, payload)
    return of_node_page(destination, kubelet_endpoint(call, name))


CONNECTORS: Final = {
    ("pods", "proxy"): _pod,
    ("services", "proxy"): _service,
    ("nodes", "proxy"): _node,
}
