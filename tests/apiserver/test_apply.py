"""Server-side apply through the API: creation, ownership, conflicts, removal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.apply import (
    DEPLOYMENTS,
    MAPS,
    apply,
    config_map,
    deployment,
    full_deployment,
    managers,
)


def test_what_is_not_there_is_created(world: Any) -> None:
    created = apply(world, config_map({"k": "v"}, labels={"l": "1"}))
    assert created.code == 201
    assert created.obj["metadata"]["managedFields"] == [
        {
            "manager": "m1",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": created.obj["metadata"]["creationTimestamp"],
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {"f:l": {}}}},
        }
    ]
    assert world.do("get", MAPS, "default", "a").obj == created.obj


def test_managers_side_by_side_remove_only_what_is_theirs(world: Any) -> None:
    apply(world, config_map({"k": "v", "both": "x"}))
    both = apply(world, config_map({"l": "w", "both": "x"}), "m2")
    assert (both.code, both.obj["data"]) == (200, {"k": "v", "both": "x", "l": "w"})
    less = apply(world, config_map({}))
    assert less.obj["data"] == {"both": "x", "l": "w"}
    gone = apply(world, config_map(), "m2")
    assert "data" not in gone.obj
    assert managers(gone) == {("m1", "Apply"): {"f:data": {}}}


def test_a_field_of_another_manager_conflicts_until_it_is_forced(world: Any) -> None:
    apply(world, config_map({"k": "v", "l": "v"}, labels={"x": "1"}))
    refused = apply(world, config_map({"k": "w"}), "m2")
    assert refused.code == 409
    assert refused.status["reason"] == "Conflict"
    assert refused.status["message"] == 'Apply failed with 1 conflict: conflict with "m1": .data.k'
    assert refused.status["details"] == {
        "causes": [
            {"reason": "FieldManagerConflict", "message": 'conflict with "m1"', "field": ".data.k"}
        ]
    }
    several = apply(world, config_map({"k": "w", "l": "w"}, labels={"x": "2"}), "m2")
    assert several.status["message"] == (
        'Apply failed with 3 conflicts: conflicts with "m1":\n'
        "- .data.k\n- .data.l\n- .metadata.labels.x"
    )
    assert world.do("get", MAPS, "default", "a").obj["data"] == {"k": "v", "l": "v"}
    forced = apply(world, config_map({"k": "w"}), "m2", force=True)
    assert (forced.code, forced.obj["data"]) == (200, {"k": "w", "l": "v"})
    assert managers(forced) == {
        ("m1", "Apply"): {"f:data": {"f:l": {}}, "f:metadata": {"f:labels": {"f:x": {}}}},
        ("m2", "Apply"): {"f:data": {"f:k": {}}},
    }


def test_an_update_takes_fields_without_asking(world: Any) -> None:
    apply(world, config_map({"k": "v", "l": "v"}))
    patched = world.do(
        "patch", MAPS, "default", "a", body={"data": {"k": "w"}}, fieldManager="writer"
    )
    assert managers(patched) == {
        ("m1", "Apply"): {"f:data": {"f:l": {}}},
        ("writer", "Update"): {"f:data": {"f:k": {}}},
    }
    refused = apply(world, config_map({"k": "v", "l": "v"}))
    assert refused.code == 409
    cause = refused.status["details"]["causes"][0]
    assert cause["message"] == 'conflict with "writer" using v1'
    # The same value is no conflict: both manage it then.
    shared = apply(world, config_map({"k": "w", "l": "v"}))
    assert managers(shared)["m1", "Apply"] == {"f:data": {"f:k": {}, "f:l": {}}}
    assert managers(shared)["writer", "Update"] == {"f:data": {"f:k": {}}}


def test_what_an_update_removes_has_no_manager_any_more(world: Any) -> None:
    created = apply(world, config_map({"k": "v", "l": "v"}))
    body = {**created.obj, "data": {"l": "v"}}
    updated = world.do("update", MAPS, "default", "a", body=body, fieldManager="w")
    assert managers(updated) == {("m1", "Apply"): {"f:data": {"f:l": {}}}}


def test_applying_the_same_again_writes_nothing(world: Any) -> None:
    first = apply(world, config_map({"k": "v"}, creationTimestamp=None))
    world.advance(5)
    again = apply(world, config_map({"k": "v"}, creationTimestamp=None))
    assert (again.code, again.revision) == (200, first.revision)
    assert again.obj == first.obj
    other = apply(world, config_map({"k": "v"}), "m2")
    assert other.revision > first.revision
    assert "time" not in other.obj["metadata"]["managedFields"][0]
    times = [entry.get("time") for entry in other.obj["metadata"]["managedFields"]]
    assert times == [None, first.obj["metadata"]["creationTimestamp"]]
    changed = apply(world, config_map({"k": "w"}), force=True)
    entry = changed.obj["metadata"]["managedFields"][-1]
    assert entry["time"] > first.obj["metadata"]["creationTimestamp"]


def test_a_dry_run_shows_what_would_be(world: Any) -> None:
    shown = apply(world, config_map({"k": "v"}), dryRun="All")
    assert (shown.code, shown.obj["data"]) == (201, {"k": "v"})
    assert world.do("get", MAPS, "default", "a").code == 404
    first = apply(world, config_map({"k": "v"}))
    shown = apply(world, config_map({"k": "w"}), dryRun="All")
    assert (shown.code, shown.obj["data"]) == (200, {"k": "w"})
    assert world.do("get", MAPS, "default", "a").obj == first.obj


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"metadata": {"name": "a"}}, "invalid object type: /, Kind="),
        (
            {"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
            "invalid object type: apps/v1, Kind=ConfigMap",
        ),
        (config_map(managedFields=[]), "metadata.managedFields must be nil"),
        (config_map(managedFields=[{"manager": "x"}]), "metadata.managedFields must be nil"),
        (
            {**config_map(namespace="default"), "spec": {}},
            (
                "failed to create typed patch object (default/a; /v1, Kind=ConfigMap): .spec: "
                "field not declared in schema"
            ),
        ),
        (
            config_map({"k": 5}),
            (
                "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .data.k: expected "
                "string, got &value.valueUnstructured{Value:5}"
            ),
        ),
        (
            config_map(finalizers=["a/b", "a/b"]),
            (
                "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .metadata"
                '.finalizers: duplicate entries for key [="a/b"]'
            ),
        ),
        (config_map(name="b"), "the name of the object (b) does not match the name on the URL (a)"),
        (
            [],
            (
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
                "unmarshal array into Go value of type map[string]interface {}"
            ),
        ),
    ],
)
def test_a_malformed_configuration_is_refused(world: Any, body: Any, message: str) -> None:
    for _ in range(2):
        refused = apply(world, body)
        assert (refused.code, refused.status["message"]) == (400, message)
        assert refused.status["reason"] == "BadRequest"
        # Once more on an object that is there.
        world.do("create", MAPS, "default", body=config_map({"k": "v"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "fieldManager: Required value: is required for apply patch"),
        ({"fieldManager": ""}, "fieldManager: Required value: is required for apply patch"),
        ({"fieldManager": "a" * 129}, "fieldManager: Too long: may not be more than 128 bytes"),
        ({"fieldManager": "a\n"}, "invalid character U+000A (at position 1)"),
        (
            {"fieldManager": "a", "force": True, "patchType": "merge"},
            "force: Forbidden: may not be specified for non-apply patch",
        ),
    ],
)
def test_options_of_an_apply_are_checked(world: Any, options: Any, message: str) -> None:
    options = {"patchType": "apply", **options}
    refused = world.do("patch", MAPS, "default", "a", body=config_map(), **options)
    assert refused.code == 422
    assert refused.status["message"].startswith('PatchOptions.meta.k8s.io "" is invalid: ')
    assert message in refused.status["message"]


def test_versions_and_identities_that_are_named_must_match(world: Any) -> None:
    missing = apply(world, config_map(uid="1"))
    assert missing.code == 409
    assert missing.status["message"].endswith(
        "uid mismatch: the provided object specified uid 1, and no existing object was found"
    )
    first = apply(world, config_map({"k": "v"}))
    version = first.obj["metadata"]["resourceVersion"]
    second = apply(world, config_map({"k": "w"}, resourceVersion=version))
    assert second.code == 200
    stale = apply(world, config_map({"k": "x"}, resourceVersion=version))
    assert stale.code == 409
    assert "the object has been modified" in stale.status["message"]
    other = apply(world, config_map({"k": "x"}, uid="1"))
    assert other.code == 409
    assert "UID in precondition: 1" in other.status["message"]


def test_an_object_of_unknown_managers_is_the_past_s(world: Any) -> None:
    created = world.do("create", MAPS, "default", body=config_map({"k": "v", "l": "v"}))
    assert "managedFields" not in created.obj["metadata"]
    # Untracked objects stay so, by all writers.
    patched = world.do("patch", MAPS, "default", "a", body={"data": {"l": "w"}}, fieldManager="x")
    assert "managedFields" not in patched.obj["metadata"]
    refused = apply(world, config_map({"k": "w"}))
    assert refused.status["message"] == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k'
    )
    applied = apply(world, config_map({"k": "v"}))
    assert managers(applied) == {
        ("before-first-apply", "Update"): {"f:data": {".": {}, "f:k": {}, "f:l": {}}},
        ("m1", "Apply"): {"f:data": {"f:k": {}}},
    }


def test_a_create_that_names_its_manager_is_tracked(world: Any) -> None:
    created = world.do(
        "create", MAPS, "default", body=config_map({"k": "v"}), fieldManager="kubectl-create"
    )
    assert managers(created) == {("kubectl-create", "Update"): {"f:data": {".": {}, "f:k": {}}}}
    body = {**created.obj, "data": {"k": "v", "l": "w"}}
    updated = world.do("update", MAPS, "default", "a", body=body)
    # A component that does not name itself is known by its user.
    assert managers(updated)["test", "Update"] == {"f:data": {"f:l": {}}}


def test_equal_pods_have_their_own_creators(world: Any, make: Any) -> None:
    def create(name: str, manager: str | None, **metadata: Any) -> Any:
        pod = make.pod(name, labels={"app": "a"})
        pod["metadata"].update(metadata)
        options = {} if manager is None else {"fieldManager": manager}
        return world.do("create", "pods", "default", body=pod, **options)

    first, second = create("a", "one"), create("b", "two")
    fields = managers(first)["one", "Update"]
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    # What admission has added is not the creator's.
    assert "f:tolerations" not in fields["f:spec"]
    assert first.obj["spec"]["tolerations"]
    world.advance(2)
    third = create("c", "two")
    assert managers(second) == managers(third) == {("two", "Update"): fields}
    assert (
        third.obj["metadata"]["managedFields"][0]["time"]
        == (third.obj["metadata"]["creationTimestamp"])
    )
    assert managers(create("d", None)) == {}
    assert managers(create("e", "one")) == managers(first)
    generated = create("f", "one", generateName="f-")
    assert "f:generateName" in managers(generated)["one", "Update"]["f:metadata"]
    assert world.server.registry.created.hits >= 3


def test_an_object_without_fields_has_no_manager(world: Any) -> None:
    created = world.do("create", MAPS, "default", body=config_map(), fieldManager="one")
    assert "managedFields" not in created.obj["metadata"]
    world.do("delete", MAPS, "default", "a")
    assert "managedFields" not in apply(world, config_map()).obj["metadata"]


def test_managers_that_send_back_managed_fields_do_not_change_them(world: Any) -> None:
    created = apply(world, config_map({"k": "v"}))
    body = {**config_map(), "data": {"k": "v"}}
    for sent in (body, dict(reversed(body.items())), created.obj):
        updated = world.do("update", MAPS, "default", "a", body=sent, fieldManager="w")
        assert updated.revision == created.revision
        assert updated.obj == created.obj


@pytest.mark.parametrize("value", [[], [{}]])
def test_tracking_ends_when_managed_fields_are_reset(world: Any, value: Any) -> None:
    apply(world, config_map({"k": "v"}))
    operations = [{"op": "replace", "path": "/metadata/managedFields", "value": value}]
    patched = world.do(
        "patch", MAPS, "default", "a", body=operations, patchType="json", fieldManager="w"
    )
    assert patched.code == 200
    assert "managedFields" not in patched.obj["metadata"]
    applied = apply(world, config_map({"k": "v"}), "m2")
    assert ("before-first-apply", "Update") in managers(applied)
    body = {**applied.obj, "metadata": {**applied.obj["metadata"], "managedFields": value}}
    updated = world.do("update", MAPS, "default", "a", body=body)
    assert "managedFields" not in updated.obj["metadata"]


def test_a_client_may_rewrite_managed_fields(world: Any) -> None:
    created = apply(world, config_map({"k": "v"}))
    entries = [{**created.obj["metadata"]["managedFields"][0], "manager": "heir"}]
    operations = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}]
    patched = world.do("patch", MAPS, "default", "a", body=operations, patchType="json")
    assert managers(patched) == {("heir", "Apply"): {"f:data": {"f:k": {}}}}
    for invalid in (
        {**entries[0], "operation": "Other"},
        {**entries[0], "fieldsType": "FieldsV2"},
        {**entries[0], "fieldsV1": {"k": {}}},
        {"manager": "x", "operation": "Apply"},
    ):
        operations[0]["value"] = [invalid]
        kept = world.do("patch", MAPS, "default", "a", body=operations, patchType="json")
        assert (kept.code, managers(kept)) == (200, managers(patched))


def test_items_of_lists_are_owned_by_their_keys(world: Any) -> None:
    one, two = {"name": "one", "image": "i:1"}, {"name": "two", "image": "i:1"}
    created = apply(world, full_deployment(one, two), resource=DEPLOYMENTS)
    assert created.code == 201
    template = deployment(template={"spec": {"containers": [{**one, "args": ["x"]}]}})
    assert apply(world, template, "m2", DEPLOYMENTS).code == 200
    template["spec"]["template"]["spec"]["containers"][0]["args"] = ["y"]
    refused = apply(world, template, "m3", DEPLOYMENTS)
    cause = refused.status["details"]["causes"][0]
    assert cause["field"] == '.spec.template.spec.containers[name="one"].args'
    less = apply(world, full_deployment(two), resource=DEPLOYMENTS)
    containers = less.obj["spec"]["template"]["spec"]["containers"]
    # m2 has applied the first, too: that keeps it there.
    assert [container["name"] for container in containers] == ["one", "two"]
    fewer = apply(world, deployment(), "m2", DEPLOYMENTS)
    assert fewer.code == 200
    containers = fewer.obj["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in containers] == ["two"]


def test_values_of_sets_are_owned_one_by_one(world: Any) -> None:
    apply(world, config_map(finalizers=["a/a"]))
    both = apply(world, config_map(finalizers=["a/b"]), "m2")
    assert both.obj["metadata"]["finalizers"] == ["a/a", "a/b"]
    one = apply(world, config_map())
    assert one.obj["metadata"]["finalizers"] == ["a/b"]


def test_unowned_fields_of_a_removed_item_go_with_it(world: Any) -> None:
    one, two = {"name": "one", "image": "i:1"}, {"name": "two", "image": "i:1"}
    apply(world, full_deployment(one, two), resource=DEPLOYMENTS)
    less = apply(world, full_deployment(one), resource=DEPLOYMENTS)
    names = [item["name"] for item in less.obj["spec"]["template"]["spec"]["containers"]]
    assert names == ["one"]


def test_a_default_comes_back_for_what_is_no_longer_applied(world: Any) -> None:
    container = {"name": "one", "image": "i:1"}
    created = apply(world, full_deployment(container, replicas=3), resource=DEPLOYMENTS)
    assert created.obj["spec"]["replicas"] == 3
    applied = apply(world, full_deployment(container), resource=DEPLOYMENTS)
    assert applied.obj["spec"]["replicas"] == 1


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def test_kubectl_goes_over_from_the_client_s_side_to_the_server_s(world: Any) -> None:
    written = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}\n'
    body = config_map({"k": "v", "l": "v"}, annotations={LAST_APPLIED: written})
    world.do("create", MAPS, "default", body=body, fieldManager="kubectl-client-side-apply")
    # A manager of another name gets no such help.
    assert apply(world, config_map({"k": "w"})).code == 409
    refused = apply(world, config_map({"k": "w", "l": "w"}), "kubectl")
    assert [cause["field"] for cause in refused.status["details"]["causes"]] == [".data.l"]
    applied = apply(world, config_map({"k": "<w>"}), "kubectl")
    assert (applied.code, applied.obj["data"]) == (200, {"k": "<w>", "l": "v"})
    assert managers(applied)["kubectl", "Apply"] == {"f:data": {"f:k": {}}}
    # And what the client's side reads is what was applied.
    assert applied.obj["metadata"]["annotations"][LAST_APPLIED] == (
        '{"apiVersion":"v1","data":{"k":"\\u003cw\\u003e"},"kind":"ConfigMap",'
        '"metadata":{"annotations":{},"name":"a"}}\n'
    )


def test_the_oldest_of_many_updaters_share_an_entry(world: Any) -> None:
    apply(world, config_map({"k": "v"}))
    for number in range(12):
        world.advance(2)
        body = {"data": {f"k{number:02}": "v"}}
        answer = world.do("patch", MAPS, "default", "a", body=body, fieldManager=f"w{number:02}")
    found = managers(answer)
    assert len(found) == 11
    assert found["ancient-changes", "Update"] == {"f:data": {"f:k00": {}, "f:k01": {}, "f:k02": {}}}


def test_another_client_may_create_the_object_first(world: Any) -> None:
    world.do("get", MAPS, "default", "a")
    number = world.submit(
        "patch",
        MAPS,
        "default",
        "a",
        body=config_map({"k": "v"}),
        patchType="apply",
        fieldManager="m1",
    )
    other = world.submit("create", MAPS, "default", body=config_map({"l": "w"}), fieldManager="w")
    world.run()
    answers = [world.answer(number), world.answer(other)]
    codes = sorted(answer.code for answer in answers)
    assert codes in ([200, 201], [201, 409])
    found = world.do("get", MAPS, "default", "a").obj
    assert found["data"]["k"] == "v"


def test_components_pay_for_tracking_only_where_there_is_some(world: Any) -> None:
    """The condition under which writes inside the process cost nothing (decision 0022)."""
    created = world.do("create", MAPS, "default", body=config_map({"k": "v"}))
    updated = world.do("patch", MAPS, "default", "a", body={"data": {"l": "w"}})
    assert "managedFields" not in created.obj["metadata"]
    assert "managedFields" not in updated.obj["metadata"]
    assert world.server._resources[MAPS]._field_managers == {}
    apply(world, config_map({"k": "v"}))
    tracked = world.do(
        "patch",
        MAPS,
        "default",
        "a",
        body={"data": {"k": "x"}},
        user="system:serviceaccount:kube-system:root-ca-cert-publisher",
    )
    assert managers(tracked)["kube-controller-manager", "Update"] == {"f:data": {"f:k": {}}}
