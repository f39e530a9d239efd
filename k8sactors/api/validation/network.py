"""Rules for services, endpoints, ingresses and network policies."""

from __future__ import annotations

from k8sactors.api.validation import names
from k8sactors.api.validation.containers import PROTOCOLS
from k8sactors.api.validation.fields import (
    IMMUTABLE,
    Causes,
    Object,
    check_one_of,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from k8sactors.api.validation.metadata import check_labels, check_selector

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_AFFINITY_TIMEOUT_MAX_SECONDS = 86_400
_TRAFFIC = ("Cluster", "Local")
_FAMILIES = 2
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NODE_PORT_TYPES = {"NodePort", "LoadBalancer"}


def _check_service_port(port: Object, at: str, causes: Causes, *, needs_name: bool) -> None:
    name, number = port.get("name"), port.get("port") or 0
    if needs_name and not name:
        causes.append(required(f"{at}.name"))
    elif name:
        for complaint in names.dns1123_label(name):
            causes.append(invalid(f"{at}.name", name, complaint))
    if not names.is_port(number):
        causes.append(invalid(f"{at}.port", number, names.PORT_MESSAGE))
    protocol = port.get("protocol")
    if not protocol:
        causes.append(required(f"{at}.protocol"))
    elif protocol not in PROTOCOLS:
        causes.append(not_supported(f"{at}.protocol", protocol, PROTOCOLS))
    target = port.get("targetPort")
    if isinstance(target, int | float):
        # JSON has one kind of number: 80.0 is no port, as in Go.
        if isinstance(target, float) or not names.is_port(target):
            causes.append(invalid(f"{at}.targetPort", target, names.PORT_MESSAGE))
    elif target:
        for complaint in names.port_name(target):
            causes.append(invalid(f"{at}.targetPort", target, complaint))


def _check_service_ports(spec: Object, causes: Causes) -> None:
    ports = spec.get("ports") or []
    kind = spec.get("type")
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    taken: dict[str, None] = {}
    numbers: dict[tuple[object, object], None] = {}
    node_ports: dict[tuple[object, object], None] = {}
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        _check_service_port(port, at, causes, needs_name=len(ports) > 1)
        name = port.get("name")
        if name and name in taken:
            causes.append(duplicate(f"{at}.name", name))
        taken[name or ""] = None
        key = (port.get("protocol"), port.get("port"))
        if key in numbers:
            causes.append(duplicate(at, {"protocol": key[0], "port": key[1]}))
        numbers[key] = None
        if node_port := port.get("nodePort"):
            if kind not in _NODE_PORT_TYPES:
                detail = f"may not be used when `type` is '{kind}'"
                causes.append(forbidden(f"{at}.nodePort", detail))
            elif (port.get("protocol"), node_port) in node_ports:
                causes.append(duplicate(f"{at}.nodePort", node_port))
            node_ports[port.get("protocol"), node_port] = None


def check_service(obj: Object, causes: Causes) -> None:
    """A Service. Whether its IP and node ports are in range and free is the allocator's matter."""
    spec = obj.get("spec") or {}
    _check_service_ports(spec, causes)
    check_labels(spec.get("selector"), "spec.selector", causes)
    check_one_of(spec, "type", _TYPES, "spec", causes)
    check_one_of(spec, "sessionAffinity", _AFFINITIES, "spec", causes)
    check_one_of(spec, "externalTrafficPolicy", _TRAFFIC, "spec", causes)
    check_one_of(spec, "internalTrafficPolicy", _TRAFFIC, "spec", causes)
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    timeout = client.get("timeoutSeconds", 1)
    if not 0 < timeout <= _AFFINITY_TIMEOUT_MAX_SECONDS:
        field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        detail = f"must be greater than 0 and less than {_AFFINITY_TIMEOUT_MAX_SECONDS}"
        causes.append(invalid(field, timeout, detail))
    _check_service_addresses(spec, causes)


def _check_service_addresses(spec: Object, causes: Causes) -> None:
    kind, address = spec.get("type"), spec.get("clusterIP")
    if kind == "ExternalName":
        target = (spec.get("externalName") or "").rstrip(".")
        if not target:
            causes.append(required("spec.externalName"))
        else:
            for complaint in names.dns1123_subdomain(target):
                causes.append(invalid("spec.externalName", target, complaint))
        if address:
            detail = "may not be set for ExternalName services"
            causes.append(forbidden("spec.clusterIPs", detail))
    elif address and address != "None" and not names.is_ip(address):
        causes.append(invalid("spec.clusterIPs[0]", address, names.IP_MESSAGE))
    if address == "None" and kind in _NODE_PORT_TYPES:
        detail = f"may not be set to 'None' for {kind} services"
        causes.append(invalid("spec.clusterIPs[0]", address, detail))
    if spec.get("externalTrafficPolicy") and kind not in _NODE_PORT_TYPES:
        detail = "may only be set for externally-accessible services"
        causes.append(invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], detail))
    for index, external in enumerate(spec.get("externalIPs") or ()):
        _check_peer_address(external, f"spec.externalIPs[{index}]", causes)
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges and kind != "LoadBalancer":
        detail = "may only be used when `type` is 'LoadBalancer'"
        causes.append(forbidden("spec.loadBalancerSourceRanges", detail))
    for index, text in enumerate(ranges):
        if names.network(text.strip()) is None:
            path = f"spec.loadBalancerSourceRanges[{index}]"
            causes.append(invalid(path, text, names.CIDR_MESSAGE))


def _check_peer_address(text: str, path: str, causes: Causes) -> None:
    """An address under which another host is reached."""
    if not names.is_ip(text):
        causes.append(invalid(path, text, names.IP_MESSAGE))
        return
    complaint = names.special_ip(text)
    if complaint is not None:
        causes.append(invalid(path, text, complaint))


def check_service_update(old: Object, new: Object, causes: Causes) -> None:
    """A Service keeps its cluster IP as long as it has one."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if "ExternalName" in {before.get("type"), after.get("type")}:
        return
    if before.get("clusterIP") and before["clusterIP"] != after.get("clusterIP"):
        text = [after["clusterIP"]] if after.get("clusterIP") else []
        causes.append(invalid("spec.clusterIPs[0]", text, "may not change once set"))


def check_endpoints(obj: Object, causes: Causes) -> None:
    """An Endpoints object."""
    for index, subset in enumerate(obj.get("subsets") or ()):
        at = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            detail = "must specify `addresses` or `notReadyAddresses`"
            causes.append(required(at, detail))
        for field in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(field) or ()):
                path = f"{at}.{field}[{number}]"
                _check_peer_address(address.get("ip") or "", f"{path}.ip", causes)
                hostname = address.get("hostname")
                for complaint in names.dns1123_label(hostname) if hostname else ():
                    causes.append(invalid(f"{path}.hostname", hostname, complaint))
        for number, port in enumerate(subset.get("ports") or ()):
            path = f"{at}.ports[{number}]"
            if not names.is_port(port.get("port") or 0):
                causes.append(invalid(f"{path}.port", port.get("port"), names.PORT_MESSAGE))
            check_one_of(port, "protocol", PROTOCOLS, path, causes)


def check_endpoint_slice(obj: Object, causes: Causes) -> None:
    """An EndpointSlice."""
    kind = obj.get("addressType")
    if not kind:
        causes.append(required("addressType"))
    else:
        check_one_of(obj, "addressType", ("FQDN", "IPv4", "IPv6"), "", causes)
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        addresses = endpoint.get("addresses") or []
        at = f"endpoints[{index}].addresses"
        if not addresses:
            causes.append(required(at, "must contain at least 1 address"))
        for number, address in enumerate(addresses):
            if kind in {"IPv4", "IPv6"} and not names.is_ip(address):
                causes.append(invalid(f"{at}[{number}]", address, names.IP_MESSAGE))


def check_endpoint_slice_update(old: Object, new: Object, causes: Causes) -> None:
    """The kind of addresses in a slice cannot change."""
    if old.get("addressType") != new.get("addressType"):
        causes.append(invalid("addressType", new.get("addressType"), IMMUTABLE))


def _check_backend(backend: Object, path: str, causes: Causes) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        causes.append(invalid(path, "", "cannot set both resource and service backends"))
    elif service is not None:
        if not service.get("name"):
            causes.append(required(f"{path}.service.name"))
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            causes.append(invalid(path, "", "cannot set both port name & port number"))
        elif not port.get("name") and not port.get("number"):
            causes.append(required(path, "port name or number is required"))
        elif port.get("number") and not names.is_port(port["number"]):
            field = f"{path}.service.port.number"
            causes.append(invalid(field, port["number"], names.PORT_MESSAGE))
    elif resource is None:
        causes.append(required(path, "resource or service backend is required"))


def check_ingress(obj: Object, causes: Causes) -> None:
    """An Ingress."""
    spec = obj.get("spec") or {}
    rules, default = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and default is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        causes.append(invalid("spec", spec, detail))
    if default is not None:
        _check_backend(default, "spec.defaultBackend", causes)
    for index, rule in enumerate(rules):
        at = f"spec.rules[{index}]"
        host = rule.get("host")
        if host and names.is_ip(host):
            causes.append(invalid(f"{at}.host", host, "must be a DNS name, not an IP address"))
        elif host:
            for complaint in names.dns1123_subdomain(host.removeprefix("*.")):
                causes.append(invalid(f"{at}.host", host, complaint))
        http = rule.get("http")
        if http is None:
            continue
        if not http.get("paths"):
            causes.append(required(f"{at}.http.paths"))
        for number, entry in enumerate(http.get("paths") or ()):
            _check_ingress_path(entry, f"{at}.http.paths[{number}]", causes)


def _check_ingress_path(entry: Object, at: str, causes: Causes) -> None:
    kind, path = entry.get("pathType"), entry.get("path") or ""
    if not kind:
        causes.append(required(f"{at}.pathType", "pathType must be specified"))
    elif kind not in _PATH_TYPES:
        causes.append(not_supported(f"{at}.pathType", kind, _PATH_TYPES))
    if (path or kind in {"Exact", "Prefix"}) and not path.startswith("/"):
        causes.append(invalid(f"{at}.path", path, "must be an absolute path"))
    _check_backend(entry.get("backend") or {}, f"{at}.backend", causes)


def _check_ip_block(block: Object, path: str, causes: Causes) -> None:
    cidr = block.get("cidr") or ""
    outer = names.network(cidr)
    if not cidr:
        causes.append(required(f"{path}.cidr"))
    elif outer is None:
        causes.append(invalid(f"{path}.cidr", cidr, names.CIDR_MESSAGE))
    for index, text in enumerate(block.get("except") or ()):
        at = f"{path}.except[{index}]"
        inner = names.network(text)
        if inner is None:
            causes.append(invalid(at, text, names.CIDR_MESSAGE))
        elif outer is not None and not (
            inner.version == outer.version
            and inner.network_address in outer
            and inner.prefixlen > outer.prefixlen
        ):
            causes.append(invalid(at, text, f"must be a strict subset of `cidr` {cidr}"))


def _check_peer(peer: Object, path: str, causes: Causes) -> None:
    selects = [key for key in ("podSelector", "namespaceSelector") if peer.get(key) is not None]
    for key in selects:
        check_selector(peer[key], f"{path}.{key}", causes)
    block = peer.get("ipBlock")
    if block is not None:
        _check_ip_block(block, f"{path}.ipBlock", causes)
    if selects and block is not None:
        detail = "may not specify both ipBlock and another peer"
        causes.append(forbidden(path, detail))
    elif not selects and block is None:
        causes.append(required(path, "must specify a peer"))


def check_network_policy(obj: Object, causes: Causes) -> None:
    """A NetworkPolicy."""
    spec = obj.get("spec") or {}
    check_selector(spec.get("podSelector"), "spec.podSelector", causes)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            for number, peer in enumerate(rule.get(peers) or ()):
                path = f"spec.{direction}[{index}].{peers}[{number}]"
                _check_peer(peer, path, causes)
    for index, kind in enumerate(spec.get("policyTypes") or ()):
        if kind not in {"Ingress", "Egress"}:
            field = f"spec.policyTypes[{index}]"
            causes.append(not_supported(field, kind, ("Egress", "Ingress")))


def check_service_cidr(obj: Object, causes: Causes) -> None:
    """A ServiceCIDR: one range, or one of each family."""
    cidrs = (obj.get("spec") or {}).get("cidrs") or []
    if not cidrs:
        causes.append(required("spec.cidrs", "at least one CIDR required"))
    families: dict[int, None] = {}
    for index, text in enumerate(cidrs):
        network = names.network(text)
        if network is None:
            causes.append(invalid(f"spec.cidrs[{index}]", text, names.CIDR_MESSAGE))
        else:
            families[network.version] = None
    if len(cidrs) > _FAMILIES:
        causes.append(invalid("spec.cidrs", cidrs, "may only hold up to 2 values"))
    elif len(cidrs) == _FAMILIES and len(families) == 1:
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24"
        causes.append(invalid("spec.cidrs", cidrs, f"{detail} and 2001:db8::/64"))


def check_service_cidr_update(old: Object, new: Object, causes: Causes) -> None:
    """Its ranges stay."""
    if (old.get("spec") or {}).get("cidrs") != (new.get("spec") or {}).get("cidrs"):
        causes.append(invalid("spec.cidrs", (new.get("spec") or {}).get("cidrs"), IMMUTABLE))


def check_ip_address(obj: Object, causes: Causes) -> None:
    """An IPAddress: its name is the address, and it says whose it is."""
    name = obj["metadata"].get("name") or ""
    if not names.is_ip(name):
        causes.append(invalid("metadata.name", name, names.IP_MESSAGE))
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        causes.append(required("spec.parentRef"))
        return
    for field in ("resource", "name"):
        if not parent.get(field):
            causes.append(required(f"spec.parentRef.{field}"))
