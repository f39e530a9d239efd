"""Defaults of services, endpoints and network policies.

Cluster IPs and node ports are allocated by the API server's registry; everything here follows
from the object alone.
"""

from __future__ import annotations

from k8sactors.api.defaulting.fields import Fields, each, fill, inside, inside_or_new

_AFFINITY_TIMEOUT_SECONDS = 10_800


def _service_port(port: Fields) -> Fields:
    port = fill(port, {"protocol": "TCP"})
    return port if port.get("targetPort") else {**port, "targetPort": port.get("port")}


def _service_spec(spec: Fields) -> Fields:
    spec = fill(spec, {"sessionAffinity": "None", "type": "ClusterIP"})
    service_type = spec["type"]
    defaults: Fields = {}
    if service_type != "ExternalName":
        defaults["internalTrafficPolicy"] = "Cluster"
        defaults["ipFamilies"] = ["IPv4"]
        defaults["ipFamilyPolicy"] = "SingleStack"
    if service_type in {"NodePort", "LoadBalancer"}:
        defaults["externalTrafficPolicy"] = "Cluster"
    if service_type == "LoadBalancer":
        defaults["allocateLoadBalancerNodePorts"] = True
    spec = fill(spec, defaults)
    if spec["sessionAffinity"] == "ClientIP":
        spec = inside_or_new(
            spec,
            "sessionAffinityConfig",
            lambda config: inside_or_new(
                config,
                "clientIP",
                lambda client: fill(client, {"timeoutSeconds": _AFFINITY_TIMEOUT_SECONDS}),
            ),
        )
    return each(spec, "ports", _service_port)


def default_service(obj: Fields) -> Fields:
    """A Service."""
    return inside_or_new(obj, "spec", _service_spec)


def default_endpoints(obj: Fields) -> Fields:
    """An Endpoints object."""
    return each(
        obj,
        "subsets",
        lambda subset: each(subset, "ports", lambda port: fill(port, {"protocol": "TCP"})),
    )


def default_endpoint_slice(obj: Fields) -> Fields:
    """An EndpointSlice."""
    return each(obj, "ports", lambda port: fill(port, {"name": "", "protocol": "TCP"}))


def _policy_rule(rule: Fields) -> Fields:
    return each(rule, "ports", lambda port: fill(port, {"protocol": "TCP"}))


def _policy_spec(spec: Fields) -> Fields:
    types = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    spec = spec if spec.get("policyTypes") else {**spec, "policyTypes": types}
    return each(each(spec, "ingress", _policy_rule), "egress", _policy_rule)


def default_network_policy(obj: Fields) -> Fields:
    """A NetworkPolicy: with egress rules it is about both directions."""
    return inside(obj, "spec", _policy_spec)


def default_ingress_class(obj: Fields) -> Fields:
    """An IngressClass: parameters are the cluster's unless they say otherwise."""
    return inside(
        obj,
        "spec",
        lambda spec: inside(
            spec, "parameters", lambda parameters: fill(parameters, {"scope": "Cluster"})
        ),
    )
