"""Deletion, finalizers, binding, eviction, scale and addresses of Services."""

from __future__ import annotations

from typing import Any

import pytest


def bind(world: Any, name: str, node: str, **fields: Any) -> Any:
    body = {"target": {"kind": "Node", "name": node}, **fields}
    return world.do("create", "pods", "default", name, subresource="binding", body=body)


def running(world: Any, make: Any, name: str, **metadata: Any) -> Any:
    world.do("create", "pods", "default", body=make.pod(name, **metadata))
    bind(world, name, "n1")
    return world.do(
        "patch",
        "pods",
        "default",
        name,
        subresource="status",
        body={"status": {"phase": "Running"}},
    )


def test_an_ordinary_object_goes_at_once(world: Any, make: Any) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    deleted = world.do("delete", "configmaps", "default", "a")
    assert deleted.code == 200
    assert deleted.status["status"] == "Success"
    assert deleted.status["details"]["kind"] == "configmaps"
    assert world.do("delete", "configmaps", "default", "a").code == 404


def test_finalizers_hold_an_object_until_the_last_is_gone(world: Any, make: Any) -> None:
    body = make.config_map("a", metadata={"finalizers": ["example.com/x"]})
    world.do("create", "configmaps", "default", body=body)
    watch = world.watch("configmaps", "default", resourceVersion=str(world.memory.revision))
    marked = world.do("delete", "configmaps", "default", "a")
    assert marked.obj["metadata"]["deletionGracePeriodSeconds"] == 0
    added = world.do(
        "patch", "configmaps", "default", "a",
        body={"metadata": {"finalizers": ["example.com/x", "example.com/new"]}},
    )  # fmt: skip
    assert added.code == 422
    assert added.status["details"]["causes"][0]["reason"] == "FieldValueForbidden"
    assert world.do("patch", "configmaps", "default", "a", body={"data": {"k": "w"}}).code == 200
    released = world.do(
        "patch", "configmaps", "default", "a", body={"metadata": {"finalizers": None}}
    )
    assert released.code == 200
    assert world.do("get", "configmaps", "default", "a").code == 404
    assert [kind for kind, _ in watch.events] == ["MODIFIED", "MODIFIED", "DELETED"]


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
def test_the_propagation_policy_becomes_a_finalizer(
    world: Any, make: Any, policy: str, finalizer: str
) -> None:
    world.do("create", "deployments.apps", "default", body=make.deployment("a"))
    marked = world.do("delete", "deployments.apps", "default", "a", propagationPolicy=policy)
    assert marked.obj["metadata"]["finalizers"] == [finalizer]
    assert marked.obj["metadata"]["generation"] == 2
    refused = world.do("delete", "deployments.apps", "default", "a", propagationPolicy="Never")
    assert refused.code == 422


def test_preconditions_protect_another_object(world: Any, make: Any) -> None:
    created = world.do("create", "configmaps", "default", body=make.config_map("a"))
    wrong = {"uid": "00000000-0000-0000-0000-000000000000"}
    refused = world.do("delete", "configmaps", "default", "a", preconditions=wrong)
    assert refused.code == 409
    assert "UID in precondition" in refused.status["message"]
    stale = {"resourceVersion": str(created.revision - 1)}
    assert world.do("delete", "configmaps", "default", "a", preconditions=stale).code == 409
    right = {"uid": created.obj["metadata"]["uid"], "resourceVersion": str(created.revision)}
    assert world.do("delete", "configmaps", "default", "a", preconditions=right).code == 200


def test_deletecollection_deletes_what_it_selects(world: Any, make: Any) -> None:
    for name, label in (("a", "1"), ("b", "1"), ("c", "2")):
        body = make.config_map(name, metadata={"labels": {"t": label}})
        world.do("create", "configmaps", "default", body=body)
    deleted = world.do("deletecollection", "configmaps", "default", labelSelector="t=1")
    assert deleted.code == 200
    assert world.do("list", "configmaps", "default").names == ["c"]
    assert world.do("deletecollection", "configmaps", "default", labelSelector="t=9").code == 200


def test_an_unassigned_pod_goes_at_once_and_a_bound_one_after_its_grace(
    world: Any, make: Any
) -> None:
    world.do("create", "pods", "default", body=make.pod("free"))
    assert world.do("delete", "pods", "default", "free").obj["kind"] == "Pod"
    assert world.do("get", "pods", "default", "free").code == 404
    running(world, make, "a")
    marked = world.do("delete", "pods", "default", "a").obj["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 30
    assert marked["deletionTimestamp"] == "2025-01-01T00:00:30Z"
    longer = world.do("delete", "pods", "default", "a", gracePeriodSeconds=60).obj["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 30
    shorter = world.do("delete", "pods", "default", "a", gracePeriodSeconds=3).obj["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 3
    assert world.do("delete", "pods", "default", "a", gracePeriodSeconds=0).code == 200
    assert world.do("get", "pods", "default", "a").code == 404


def test_a_finished_pod_goes_at_once(world: Any, make: Any) -> None:
    running(world, make, "a")
    body = {"status": {"phase": "Succeeded"}}
    world.do("patch", "pods", "default", "a", subresource="status", body=body)
    world.do("delete", "pods", "default", "a")
    assert world.do("get", "pods", "default", "a").code == 404


def test_a_pod_is_bound_once(world: Any, make: Any) -> None:
    world.do("create", "pods", "default", body=make.pod("a"))
    annotations = {"metadata": {"annotations": {"example.com/x": "y"}}}
    assert bind(world, "a", "n1", **annotations).code == 201
    pod = world.do("get", "pods", "default", "a").obj
    assert pod["spec"]["nodeName"] == "n1"
    assert pod["metadata"]["annotations"] == {"example.com/x": "y"}
    condition = pod["status"]["conditions"][0]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
    again = bind(world, "a", "n2")
    assert again.code == 409
    assert again.status["message"] == (
        'Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "n1"'
    )
    assert again.status["details"]["kind"] == "pods/binding"
    assert bind(world, "nope", "n1").code == 404
    assert bind(world, "a", "").code == 422


def test_of_two_schedulers_on_two_servers_one_binds(world: Any, make: Any) -> None:
    other = world.add_server()
    world.run()
    world.do("create", "pods", "default", body=make.pod("a"))
    numbers = [
        world.submit(
            "create", "pods", "default", "a", subresource="binding", server=server,
            body={"target": {"name": node}},
        )
        for node, server in (("n1", world.server), ("n2", other))
    ]  # fmt: skip
    world.run()
    assert sorted(world.answer(number).code for number in numbers) == [201, 409]


def test_a_pod_that_is_being_deleted_is_not_bound(world: Any, make: Any) -> None:
    world.do("create", "pods", "default", body=make.pod("a", finalizers=["example.com/x"]))
    world.do("delete", "pods", "default", "a")
    refused = bind(world, "a", "n1")
    assert refused.code == 409
    assert "is being deleted, cannot be assigned to a host" in refused.status["message"]


def budget(allowed: int) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}},
        "status": {"disruptionsAllowed": allowed, "observedGeneration": 1},
    }


def evict(world: Any, name: str) -> Any:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return world.do("create", "pods", "default", name, subresource="eviction", body=body)


def test_an_eviction_asks_the_budget_and_charges_it(world: Any, make: Any) -> None:
    world.do("create", "poddisruptionbudgets.policy", "default", body=budget(1))
    world.do(
        "update", "poddisruptionbudgets.policy", "default", "b", subresource="status",
        body={
            **budget(1),
            "metadata": world.do("get", "poddisruptionbudgets.policy", "default", "b").obj[
                "metadata"
            ],
        },
    )  # fmt: skip
    for name in "xy":
        running(world, make, name, labels={"app": "a"})
    assert evict(world, "x").code == 201
    assert "deletionTimestamp" in world.do("get", "pods", "default", "x").obj["metadata"]
    refused = evict(world, "y")
    assert refused.code == 429
    assert refused.status["message"] == (
        "Cannot evict pod as it would violate the pod's disruption budget."
    )
    assert refused.status["details"]["causes"][0]["reason"] == "DisruptionBudget"
    assert "deletionTimestamp" not in world.do("get", "pods", "default", "y").obj["metadata"]
    world.do("create", "pods", "default", body=make.pod("z", labels={"app": "a"}))
    assert evict(world, "z").code == 201


def test_an_eviction_of_the_earlier_version_is_carried_out(world: Any, make: Any) -> None:
    running(world, make, "x")
    body = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "x"}}
    done = world.do("create", "pods", "default", "x", subresource="eviction", body=body)
    assert done.code == 201
    assert "deletionTimestamp" in world.do("get", "pods", "default", "x").obj["metadata"]


def test_scale_shows_and_sets_the_replicas(world: Any, make: Any) -> None:
    world.do("create", "deployments.apps", "default", body=make.deployment("a", 2))
    shown = world.do("get", "deployments.apps", "default", "a", subresource="scale").obj
    assert (shown["kind"], shown["spec"], shown["status"]["selector"]) == (
        "Scale",
        {"replicas": 2},
        "app=a",
    )
    patched = world.do(
        "patch", "deployments.apps", "default", "a", subresource="scale",
        body={"spec": {"replicas": 5}},
    )  # fmt: skip
    assert patched.obj["spec"] == {"replicas": 5}
    stale = world.do("update", "deployments.apps", "default", "a", subresource="scale", body=shown)
    assert stale.code == 409
    negative = {"spec": {"replicas": -1}}
    refused = world.do(
        "patch", "deployments.apps", "default", "a", subresource="scale", body=negative
    )
    assert refused.code == 422
    workload = world.do("get", "deployments.apps", "default", "a").obj
    assert (workload["spec"]["replicas"], workload["metadata"]["generation"]) == (5, 2)


def test_a_namespace_goes_when_its_controller_finalizes_it(world: Any) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    world.do("create", "namespaces", body=namespace)
    world.do("delete", "namespaces", name="n")
    held = world.do("delete", "namespaces", name="n")
    assert held.code == 409
    bad = {**namespace, "spec": {"finalizers": ["plain"]}}
    assert world.do("update", "namespaces", name="n", subresource="finalize", body=bad).code == 422
    empty = {**namespace, "spec": {"finalizers": []}}
    done = world.do("update", "namespaces", name="n", subresource="finalize", body=empty)
    assert done.code == 200
    assert world.do("get", "namespaces", name="n").code == 404


def test_system_namespaces_stay(world: Any) -> None:
    refused = world.do("delete", "namespaces", name="kube-system")
    assert refused.code == 403
    assert refused.status["message"] == (
        'namespaces "kube-system" is forbidden: this namespace may not be deleted'
    )


def test_services_get_addresses_of_their_own(world: Any, make: Any) -> None:
    other = world.add_server()
    world.run()
    for watch in world.memory.watches:
        watch.paused = True
    addresses = {}
    for number in range(40):
        server = (world.server, other)[number % 2]
        body = make.service(f"s{number}", type="NodePort")
        made = world.do("create", "services", "default", body=body, server=server).obj["spec"]
        addresses[made["clusterIP"], made["ports"][0]["nodePort"]] = None
        assert made["clusterIPs"] == [made["clusterIP"]]
    assert len(dict.fromkeys(address for address, _ in addresses)) == 40
    assert len(dict.fromkeys(port for _, port in addresses)) == 40


def test_a_chosen_address_that_is_taken_is_422(world: Any, make: Any) -> None:
    body = make.service("a", clusterIP="10.96.7.7", type="NodePort")
    body["spec"]["ports"] = [{"port": 80, "nodePort": 30080}]
    assert world.do("create", "services", "default", body=body).code == 201
    same_ip = world.do(
        "create", "services", "default", body=make.service("b", clusterIP="10.96.7.7")
    )
    assert same_ip.code == 422
    assert "provided IP is already allocated" in same_ip.status["message"]
    outside = world.do(
        "create", "services", "default", body=make.service("b", clusterIP="10.0.0.1")
    )
    assert "not in the valid range" in outside.status["message"]
    body = make.service("b", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    same_port = world.do("create", "services", "default", body=body)
    assert same_port.status["details"]["causes"][0]["field"] == "spec.ports[0].nodePort"
    world.do("delete", "services", "default", "a")
    assert world.do("create", "services", "default", body=body).code == 201


def test_addresses_follow_the_type_of_a_service(world: Any, make: Any) -> None:
    made = world.do("create", "services", "default", body=make.service("a")).obj["spec"]
    world.do("patch", "services", "default", "a", body={"spec": {"type": "NodePort"}})
    opened = world.do("get", "services", "default", "a").obj["spec"]
    assert opened["clusterIP"] == made["clusterIP"]
    port = opened["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    world.do("patch", "services", "default", "a", body={"metadata": {"labels": {"a": "b"}}})
    assert world.do("get", "services", "default", "a").obj["spec"]["ports"][0]["nodePort"] == port
    headless = world.do(
        "create", "services", "default", body=make.service("h", clusterIP="None")
    ).obj["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
    external = {"spec": {"type": "ExternalName", "externalName": "x.example.com"}}
    closed = world.do("patch", "services", "default", "a", body=external).obj["spec"]
    assert "clusterIP" not in closed
    reused = make.service("b", clusterIP=made["clusterIP"])
    assert world.do("create", "services", "default", body=reused).code == 201


def test_bootstrap_makes_what_every_cluster_has(world: Any) -> None:
    world.advance(1)
    assert world.do("list", "namespaces").names == [
        "default",
        "kube-node-lease",
        "kube-public",
        "kube-system",
    ]
    assert (
        world.do("get", "services", "default", "kubernetes").obj["spec"]["clusterIP"] == "10.96.0.1"
    )
    second = world.add_server()
    world.advance(1)
    assert second.bootstrap.done


def test_a_binding_posted_to_the_collection_binds_the_pod_it_names(world: Any, make: Any) -> None:
    world.do("create", "pods", "default", body=make.pod("a"))
    body = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}}
    assert world.do("create", "bindings", "default", body=body).code == 201
    pod = world.do("get", "pods", "default", "a").obj
    assert pod["spec"]["nodeName"] == "n1"
    assert world.do("create", "bindings", "default", body={"target": {"name": "n1"}}).code == 400
    assert world.do("list", "bindings", "default").code == 405
