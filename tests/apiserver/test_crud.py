"""What a client may rely on when it creates, reads, updates, patches and deletes."""

from __future__ import annotations

from typing import Any

import pytest


def test_what_is_created_is_read_back(world: Any, make: Any) -> None:
    created = world.do(
        "create", "configmaps", "default", body=make.config_map("a", data={"k": "v"})
    )
    assert created.code == 201
    read = world.do("get", "configmaps", "default", "a")
    assert read.code == 200
    assert created.obj == read.obj
    metadata = read.obj["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("a", "default")
    assert str(created.revision) == metadata["resourceVersion"]
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].startswith("2025-01-01T00:00:0")


@pytest.mark.covers("AP-03")
def test_a_second_create_is_refused_by_name(world: Any) -> None:
    world.do("create", "roles.rbac.authorization.k8s.io", "default", body=role("a"))
    again = world.do("create", "roles.rbac.authorization.k8s.io", "default", body=role("a"))
    assert again.code == 409
    assert again.status["reason"] == "AlreadyExists"
    assert again.status["message"] == 'roles.rbac.authorization.k8s.io "a" already exists'
    assert again.status["details"] == {
        "name": "a",
        "group": "rbac.authorization.k8s.io",
        "kind": "roles",
    }


def role(name: Any) -> Any:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": [],
    }


def test_a_missing_object_is_404_with_its_group(world: Any) -> None:
    missing = world.do("get", "deployments.apps", "default", "nope")
    assert missing.code == 404
    assert missing.status["message"] == 'deployments.apps "nope" not found'
    assert missing.status["details"] == {"name": "nope", "group": "apps", "kind": "deployments"}


def test_unknown_resources_verbs_and_subresources_are_told_apart(world: Any) -> None:
    assert world.do("get", "widgets", "default", "a").code == 404
    assert world.do("get", "configmaps", "default", "a", subresource="status").code == 404
    assert world.do("delete", "pods", "default", "a", subresource="status").code == 405
    assert world.do("get", "pods", "default", "a", subresource="binding").code == 405


@pytest.mark.covers("AP-09")
def test_of_two_updates_from_one_version_the_second_is_409(world: Any, make: Any) -> None:
    created = world.do("create", "configmaps", "default", body=make.config_map("a")).obj
    first = world.do("update", "configmaps", "default", "a", body={**created, "data": {"k": "1"}})
    second = world.do("update", "configmaps", "default", "a", body={**created, "data": {"k": "2"}})
    assert first.code == 200
    assert second.code == 409
    assert second.status["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert world.do("get", "configmaps", "default", "a").obj["data"] == {"k": "1"}


@pytest.mark.covers("AP-11")
def test_optimistic_concurrency_holds_across_servers(world: Any, make: Any) -> None:
    other = world.add_server()
    world.run()
    created = world.do("create", "configmaps", "default", body=make.config_map("a")).obj
    first = world.submit(
        "update", "configmaps", "default", "a", body={**created, "data": {"k": "1"}}
    )
    second = world.submit(
        "update", "configmaps", "default", "a", body={**created, "data": {"k": "2"}}, server=other
    )
    world.run()
    assert sorted([world.answer(first).code, world.answer(second).code]) == [200, 409]


def test_an_update_without_version_replaces_what_is_there(world: Any, make: Any) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a", data={"gone": "1"}))
    updated = world.do("update", "configmaps", "default", "a", body=make.config_map("a"))
    assert updated.code == 200
    assert "data" not in updated.obj


def test_an_update_cannot_touch_uid_and_creation_time(world: Any, make: Any) -> None:
    created = world.do("create", "configmaps", "default", body=make.config_map("a")).obj
    forged = make.config_map("a", metadata={"creationTimestamp": "2001-01-01T00:00:00Z"})
    updated = world.do("update", "configmaps", "default", "a", body=forged).obj
    assert created["metadata"]["creationTimestamp"] == updated["metadata"]["creationTimestamp"]
    other = make.config_map("a", metadata={"uid": "00000000-0000-0000-0000-000000000001"})
    refused = world.do("update", "configmaps", "default", "a", body=other)
    assert refused.code == 409
    assert "Precondition failed: UID in precondition" in refused.status["message"]


def test_name_and_namespace_must_agree_with_the_path(world: Any, make: Any) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    wrong_name = world.do("update", "configmaps", "default", "a", body=make.config_map("b"))
    assert wrong_name.code == 400
    assert wrong_name.status["message"] == (
        "the name of the object (b) does not match the name on the URL (a)"
    )
    elsewhere = make.config_map("c", metadata={"namespace": "kube-system"})
    assert world.do("create", "configmaps", "default", body=elsewhere).code == 400


def test_leases_demand_a_version_and_are_created_by_put(world: Any) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "a"},
        "spec": {"holderIdentity": "x"},
    }
    resource = "leases.coordination.k8s.io"
    assert world.do("update", resource, "default", "a", body=lease).code == 201
    refused = world.do("update", resource, "default", "a", body=lease)
    assert refused.code == 422
    details = refused.status["details"]
    assert details["kind"] == "leases"
    assert details["causes"][0]["field"] == "metadata.resourceVersion"


def test_generate_name_adds_five_characters_and_survives_collisions(world: Any) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "pre-"}}
    names = {
        world.do("create", "configmaps", "default", body=body).obj["metadata"]["name"]
        for _ in range(20)
    }
    assert len(names) == 20
    assert all(name.startswith("pre-") and len(name) == 9 for name in names)


def test_neither_name_nor_generate_name_is_422(world: Any) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
    refused = world.do("create", "configmaps", "default", body=body)
    assert refused.code == 422
    assert {"field": "metadata.name", "reason": "FieldValueRequired"}.items() <= refused.status[
        "details"
    ]["causes"][0].items()


@pytest.mark.covers("AP-04")
def test_an_invalid_object_changes_nothing(world: Any, make: Any) -> None:
    broken = make.deployment("a")
    del broken["spec"]["selector"]
    before = world.memory.revision
    refused = world.do("create", "deployments.apps", "default", body=broken)
    assert refused.code == 422
    assert "spec.selector" in [cause["field"] for cause in refused.status["details"]["causes"]]
    assert before == world.memory.revision


def test_wrong_kinds_types_and_bodies_are_400(world: Any, make: Any) -> None:
    assert world.do("create", "configmaps", "default", body=make.pod("a")).code == 400
    assert world.do("create", "configmaps", "default", body=[]).code == 400
    assert world.do("create", "configmaps", "default", body="text").code == 400
    wrong = make.deployment("a")
    wrong["spec"]["replicas"] = "three"
    assert world.do("create", "deployments.apps", "default", body=wrong).code == 400
    versioned = make.config_map("a", metadata={"resourceVersion": "1"})
    assert world.do("create", "configmaps", "default", body=versioned).code == 400
    assert (
        world.do(
            "create",
            "configmaps",
            "default",
            body=make.config_map("a", data={"k": "v" * 4_000_000}),
        ).code
        == 413
    )


def test_a_gated_pod_says_so_from_the_beginning(world: Any, make: Any) -> None:
    gated = make.pod("a")
    gated["spec"]["schedulingGates"] = [{"name": "wait"}]
    (condition,) = world.do("create", "pods", "default", body=gated).obj["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "False")
    assert condition["reason"] == "SchedulingGated"


@pytest.mark.covers("AP-05")
def test_defaults_and_admission_complete_a_pod(world: Any, make: Any) -> None:
    made = world.do("create", "pods", "default", body=make.pod("a")).obj
    spec = made["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["serviceAccountName"] == "default"
    assert spec["priority"] == 0
    assert [toleration["tolerationSeconds"] for toleration in spec["tolerations"]] == [300, 300]
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_equal_pods_share_what_was_found_out_about_the_first(world: Any, make: Any) -> None:
    first = world.do("create", "pods", "default", body=make.pod("a")).obj
    second = world.do("create", "pods", "default", body=make.pod("b")).obj
    assert first["spec"] == second["spec"]
    assert world.server.registry.created.hits == 1
    assert world.do("create", "pods", "default", body=make.pod("Bad_Name")).code == 422


def test_a_merge_patch_is_tried_again_after_a_conflict(world: Any, make: Any) -> None:
    other = world.add_server()
    world.run()
    world.do("create", "configmaps", "default", body=make.config_map("a", data={"n": "0"}))
    numbers = [
        world.submit(
            "patch", "configmaps", "default", "a", body={"data": {key: "1"}}, server=server
        )
        for key, server in (("x", world.server), ("y", other), ("z", world.server))
    ]
    world.run()
    assert [world.answer(number).code for number in numbers] == [200, 200, 200]
    assert world.do("get", "configmaps", "default", "a").obj["data"] == {
        "n": "0",
        "x": "1",
        "y": "1",
        "z": "1",
    }


def test_a_patch_that_names_a_stale_version_is_409(world: Any, make: Any) -> None:
    stale = world.do("create", "configmaps", "default", body=make.config_map("a")).obj
    world.do("patch", "configmaps", "default", "a", body={"data": {"k": "1"}})
    version = stale["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "data": {"k": "2"}}
    assert world.do("patch", "configmaps", "default", "a", body=patch).code == 409


def test_json_and_strategic_patches(world: Any, make: Any) -> None:
    world.do("create", "deployments.apps", "default", body=make.deployment("a"))
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 5}]
    patched = world.do(
        "patch", "deployments.apps", "default", "a", body=operations, patchType="json"
    )
    assert (
        patched.code,
        patched.obj["spec"]["replicas"],
        patched.obj["metadata"]["generation"],
    ) == (200, 5, 2)
    template = {"spec": {"containers": [{"name": "d", "image": "registry.example/side:1"}]}}
    merged = world.do(
        "patch",
        "deployments.apps",
        "default",
        "a",
        body={"spec": {"template": template}},
        patchType="strategic",
    )
    containers = merged.obj["spec"]["template"]["spec"]["containers"]
    assert {"c", "d"} == {container["name"] for container in containers}
    failing = [{"op": "test", "path": "/spec/replicas", "value": 7}]
    assert (
        world.do("patch", "deployments.apps", "default", "a", body=failing, patchType="json").code
        == 422
    )
    assert world.do("patch", "deployments.apps", "default", "nope", body={}).code == 404


def test_an_update_that_changes_nothing_is_not_written(world: Any, make: Any) -> None:
    created = world.do(
        "create", "configmaps", "default", body=make.config_map("a", data={"k": "v"})
    )
    again = world.do("update", "configmaps", "default", "a", body=created.obj)
    assert (200, created.revision) == (again.code, again.revision)


def test_dry_run_does_all_but_write(world: Any, make: Any) -> None:
    before = world.memory.revision
    made = world.do("create", "configmaps", "default", body=make.config_map("a"), dryRun=["All"])
    assert made.code == 201
    assert before == world.memory.revision


@pytest.mark.covers("AP-19")
def test_status_and_specification_do_not_touch_each_other(world: Any, make: Any) -> None:
    created = world.do("create", "deployments.apps", "default", body=make.deployment("a")).obj
    assert created["metadata"]["generation"] == 1
    patched = world.do(
        "patch", "deployments.apps", "default", "a", subresource="status",
        body={"spec": {"replicas": 9}, "status": {"replicas": 1}},
    ).obj  # fmt: skip
    assert (patched["spec"]["replicas"], patched["status"]) == (1, {"replicas": 1})
    assert patched["metadata"]["generation"] == 1
    scaled = world.do(
        "patch", "deployments.apps", "default", "a", body={"spec": {"replicas": 2}, "status": None}
    ).obj
    assert (scaled["metadata"]["generation"], scaled["status"]) == (2, {"replicas": 1})


@pytest.mark.covers("AP-22")
def test_a_namespace_must_exist_and_not_be_going(world: Any, make: Any) -> None:
    missing = world.do("create", "configmaps", "nope", body=make.config_map("a"))
    assert missing.code == 404
    assert missing.status["message"] == 'namespaces "nope" not found'
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}}
    world.do("create", "namespaces", body=namespace)
    assert world.do("create", "configmaps", "going", body=make.config_map("a")).code == 201
    assert world.do("delete", "namespaces", name="going").obj["status"]["phase"] == "Terminating"
    refused = world.do("create", "configmaps", "going", body=make.config_map("b"))
    assert refused.code == 403
    assert refused.status["message"] == (
        'configmaps "b" is forbidden: unable to create new content in namespace going because it '
        "is being terminated"
    )
    assert refused.status["details"]["causes"][0]["reason"] == "NamespaceTerminating"


def test_a_namespace_just_made_by_another_server_counts(world: Any, make: Any) -> None:
    other = world.add_server()
    world.run()
    for watch in world.memory.watches:
        watch.paused = True
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
    world.do("create", "namespaces", body=namespace)
    created = world.do("create", "configmaps", "new", body=make.config_map("a"), server=other)
    assert created.code == 201


def test_a_pod_waits_for_the_default_service_account(empty_world: Any, make: Any) -> None:
    world = empty_world
    world.add_server(service_account_must_exist=True)
    world.run()
    number = world.submit("create", "pods", "default", body=make.pod("a"))
    world.advance(0.3)
    assert world.answer(number) is None
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    world.do("create", "serviceaccounts", "default", body=account)
    world.advance(0.3)
    assert world.answer(number).code == 201
    late = world.submit("create", "pods", "kube-system", body=make.pod("a"))
    world.advance(3)
    refused = world.answer(late)
    assert refused.code == 403
    assert 'serviceaccount "default" not found' in refused.status["message"]


def test_priority_classes_become_numbers(world: Any, make: Any) -> None:
    body = make.pod("a")
    body["spec"]["priorityClassName"] = "system-node-critical"
    assert world.do("create", "pods", "default", body=body).obj["spec"]["priority"] == 2_000_001_000
    body = make.pod("b")
    body["spec"]["priorityClassName"] = "nope"
    refused = world.do("create", "pods", "default", body=body)
    assert refused.code == 403
    assert refused.status["message"] == (
        'pods "b" is forbidden: no PriorityClass with name nope was found'
    )


def test_a_dry_run_tells_of_a_name_that_is_taken(world: Any, make: Any) -> None:
    body = make.config_map("a")
    assert world.do("create", "configmaps", "default", body=body, dryRun=["All"]).code == 201
    assert world.do("create", "configmaps", "default", body=body).code == 201
    refused = world.do("create", "configmaps", "default", body=body, dryRun=["All"])
    assert (refused.code, refused.status["reason"]) == (409, "AlreadyExists")


def test_addresses_of_peers_are_not_special(world: Any) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {
            "type": "LoadBalancer",
            "ports": [{"port": 80}],
            "externalIPs": ["127.0.0.1", "192.0.2.7"],
            "loadBalancerSourceRanges": ["192.0.2.0/24", "nope"],
        },
    }
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "a"},
        "subsets": [{"addresses": [{"ip": "192.0.2.5", "hostname": "Bad_Name"}]}],
    }

    def fields(resource: str, body: Any) -> list[str]:
        refused = world.do("create", resource, "default", body=body)
        assert refused.code == 422
        return [cause["field"] for cause in refused.status["details"]["causes"]]

    assert fields("services", service) == [
        "spec.externalIPs[0]",
        "spec.loadBalancerSourceRanges[1]",
    ]
    assert fields("endpoints", endpoints) == ["subsets[0].addresses[0].hostname"]
