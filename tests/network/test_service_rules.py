from __future__ import annotations

from typing import Any

import pytest

from k8sactors.network.cni import BridgePlugin, HostLocalAddresses
from k8sactors.network.errors import AddressPoolExhaustedError
from k8sactors.network.kernel_tables import RouteTable, RuleTable
from k8sactors.network.service_rules import ServicePort, nat_table, rules_of
from k8sactors.simulation import Random


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"clusterIP": "10.96.0.10", "ports": ports, **spec},
    }


def endpoint(ip: str, node: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "nodeName": node, "conditions": {"ready": True, **conditions}}


def slice_of(*endpoints: dict[str, Any], port: str = "http") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "web-1"},
        "ports": [{"name": port, "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def test_a_rule_has_the_endpoints_of_its_port_only() -> None:
    slices = [
        slice_of(endpoint("10.244.1.2", "n1")),
        slice_of(endpoint("10.244.2.2", "n2"), port="admin"),
    ]
    (rule,) = rules_of(service(), slices)
    assert [e.address for e in rule.endpoints] == ["10.244.1.2:8080"]
    assert rule.key == "shop/web:http"


def test_rules_survive_the_wire() -> None:
    (rule,) = rules_of(service(), [slice_of(endpoint("10.244.1.2", "n1"))])
    assert rule == ServicePort.from_wire(rule.to_wire())


def test_terminating_endpoints_serve_only_when_no_other_is_ready() -> None:
    going = endpoint("10.244.1.2", "n1", ready=False, serving=True, terminating=True)
    unready = endpoint("10.244.1.3", "n1", ready=False)
    ready = endpoint("10.244.1.4", "n1")
    (rule,) = rules_of(service(), [slice_of(going, unready, ready)])
    assert [e.ip for e in rule.eligible("n1", external=False)] == ["10.244.1.4"]
    (rule,) = rules_of(service(), [slice_of(going, unready)])
    assert [e.ip for e in rule.eligible("n1", external=False)] == ["10.244.1.2"]


def test_local_policies_keep_traffic_on_the_node() -> None:
    slices = [slice_of(endpoint("10.244.1.2", "n1"), endpoint("10.244.2.2", "n2"))]
    (rule,) = rules_of(service(internalTrafficPolicy="Local"), slices)
    assert [e.ip for e in rule.eligible("n2", external=False)] == ["10.244.2.2"]
    assert len(rule.eligible("n2", external=True)) == 2
    (rule,) = rules_of(service(externalTrafficPolicy="Local"), slices)
    assert rule.eligible("n3", external=True) == []


@pytest.mark.covers("SV-22")
def test_the_nat_table_has_chains_with_even_chances() -> None:
    endpoints = [endpoint(f"10.244.1.{i}", "n1") for i in (2, 3, 4)]
    ports = [{"name": "http", "port": 80, "nodePort": 30008}]
    (rule,) = rules_of(service(ports=ports), [slice_of(*endpoints)])
    table = nat_table([rule], "n1")
    chances = [text.split("--probability ")[1].split()[0] for text in table[rule.chain][:2]]
    assert chances == ["0.33333333333", "0.50000000000"]
    assert rule.chain in table["KUBE-SERVICES"][0]
    assert "--dport 30008" in table["KUBE-NODEPORTS"][0]
    last = table[rule.endpoint_chain(rule.endpoints[-1])]
    assert last == ["-p tcp -j DNAT --to-destination 10.244.1.4:8080"]


def test_a_service_without_endpoints_rejects() -> None:
    table = nat_table(rules_of(service(), []), "n1")
    assert table["KUBE-SERVICES"][0].endswith("-j REJECT")


@pytest.mark.covers("SV-27")
def test_endpoints_are_chosen_evenly() -> None:
    endpoints = [endpoint(f"10.244.1.{i}", "n1") for i in (2, 3, 4)]
    (rule,) = rules_of(service(), [slice_of(*endpoints)])
    table, rng = RuleTable(), Random(1)
    chosen = [table.choose(rule, rule.endpoints, "c", 0, rng).ip for _ in range(900)]
    counts = [chosen.count(e.ip) for e in rule.endpoints]
    assert all(250 <= count <= 350 for count in counts)


@pytest.mark.covers("SV-29")
def test_client_affinity_keeps_the_endpoint_until_it_times_out() -> None:
    endpoints = [endpoint(f"10.244.1.{i}", "n1") for i in range(2, 40)]
    config = {"clientIP": {"timeoutSeconds": 10}}
    affine = service(sessionAffinity="ClientIP", sessionAffinityConfig=config)
    (rule,) = rules_of(affine, [slice_of(*endpoints)])
    table, rng = RuleTable(), Random(1)
    chosen = [table.choose(rule, rule.endpoints, "c", t * 10**9, rng).ip for t in range(20)]
    assert len(dict.fromkeys(chosen)) == 1
    later = [table.choose(rule, rule.endpoints, "c", t * 10**10, rng).ip for t in range(4, 40, 2)]
    assert len(dict.fromkeys(later)) > 1


def test_replaced_rules_leave_nothing_behind() -> None:
    table = RuleTable()
    (rule,) = rules_of(service(), [])
    table.replace(full=True, removed=[], changed=[["shop", "web", [rule.to_wire()]]])
    assert rule == table.at_address("10.96.0.10", 80, "TCP")
    table.replace(full=False, removed=[["shop", "web"]], changed=[])
    assert table.at_address("10.96.0.10", 80, "TCP") is None
    assert table.service("shop", "web") is None


def test_routes_know_nodes_and_their_pods() -> None:
    routes = RouteTable()
    changed = [["n1", "192.168.0.1", "10.244.1.0/24"], ["n2", "192.168.0.2", "10.244.2.0/24"]]
    routes.replace(changed)
    places = [routes.node_at(ip) for ip in ("10.244.2.77", "192.168.0.1", "10.244.3.1")]
    assert places == ["n2", "n1", ""]
    routes.replace(changed[:1])
    assert routes.node_at("10.244.2.77") == ""


@pytest.mark.covers("NW-26")
def test_a_full_range_refuses_and_a_freed_address_rests() -> None:
    addresses = HostLocalAddresses("10.22.0.0/29")
    given = [addresses.allocate(f"s{i}") for i in range(5)]
    assert [f"10.22.0.{i}" for i in (2, 3, 4, 5, 6)] == given
    with pytest.raises(AddressPoolExhaustedError):
        addresses.allocate("one too many")
    addresses.release("s0")
    addresses.release("s3")
    assert addresses.allocate("next") == "10.22.0.2"


@pytest.mark.covers("NW-18", "NW-20")
def test_churn_leaks_no_address() -> None:
    plugin = BridgePlugin("10.244.1.0/24")
    for number in range(5000):
        plugin.add(f"s{number}")
        plugin.delete(f"s{number - 50}")
        plugin.delete(f"s{number - 50}")
    assert len(plugin.addresses) == 50
