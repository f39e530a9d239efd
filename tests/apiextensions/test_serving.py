"""From a definition to a served resource, and back."""

from __future__ import annotations

from typing import Any

CRDS = "customresourcedefinitions"
NAME = "widgets.example.com"
STATUS = {"subresources": {"status": {}}}


def patch(custom: Any, body: Any, **options: Any) -> Any:
    return custom.do("patch", CRDS, NAME, body=body, namespace=None, **options)


def test_names_are_accepted_then_the_kind_is_served_and_established(custom: Any) -> None:
    answer = custom.do("create", CRDS, body=custom.definition(), namespace=None)
    assert answer.obj["status"]["storedVersions"] == ["v1"]
    assert answer.obj["status"]["conditions"] == []
    assert custom.conditions() == {"NamesAccepted": "True"}
    custom.world.advance(0.2)
    assert custom.conditions() == {"NamesAccepted": "True", "Established": "True"}
    status = custom.do("get", CRDS, NAME, namespace=None).obj["status"]
    assert status["acceptedNames"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
    }
    assert custom.create(spec={"x": 1}).code == 201


def test_every_server_serves_them(two_servers: Any) -> None:
    two_servers.define()
    assert two_servers.create().code == 201
    other = two_servers.world.servers[1]
    assert two_servers.do("get", name="a", server=other).code == 200
    third = two_servers.world.add_server()
    two_servers.world.advance(1)
    assert two_servers.do("get", name="a", server=third).code == 200


def test_a_name_that_is_taken_is_not_accepted(custom: Any) -> None:
    custom.define()
    other = custom.definition(plural="gadgets", kind="Widget")
    assert custom.do("create", CRDS, body=other, namespace=None).code == 201
    custom.world.advance(1)
    obj = custom.do("get", CRDS, "gadgets.example.com", namespace=None).obj
    accepted, established = obj["status"]["conditions"]
    assert (accepted["status"], accepted["reason"]) == ("False", "ListKindConflict")
    assert accepted["message"] == '"WidgetList" is already in use'
    assert (established["status"], established["reason"]) == ("False", "NotAccepted")
    assert custom.do("list", "gadgets").code == 404
    # The names are free when the other definition has gone.
    custom.do("delete", CRDS, NAME, namespace=None)
    custom.world.advance(3)
    assert custom.conditions("gadgets.example.com")["Established"] == "True"
    assert custom.do("list", "gadgets").code == 200


def test_names_may_change(custom: Any) -> None:
    custom.define()
    assert patch(custom, {"spec": {"names": {"shortNames": ["wg"]}}}).code == 200
    custom.world.advance(1)
    assert custom.world.server.scheme.lookup("wg").plural == "widgets"
    assert custom.create().code == 201


def test_a_changed_schema_holds_for_what_is_written_and_read_from_then_on(custom: Any) -> None:
    custom.define(custom.version(spec={"properties": {"x": {"type": "integer"}}}))
    custom.create(spec={"x": 1})
    watch = custom.world.watch("widgets", "default")
    changed = {"x": {"type": "integer"}, "y": {"type": "string", "default": "z"}}
    versions = [custom.version(spec={"properties": changed})]
    assert patch(custom, {"spec": {"versions": versions}}).code == 200
    custom.world.advance(1)
    assert custom.do("get", name="a").obj["spec"] == {"x": 1, "y": "z"}
    assert custom.create("b", spec={"x": 2}).obj["spec"] == {"x": 2, "y": "z"}
    assert watch.events == [("ADDED", "a"), ("ADDED", "b")]


def test_a_status_subresource_comes_and_goes_with_the_definition(custom: Any) -> None:
    custom.define()
    custom.create()
    assert custom.do("get", name="a", subresource="status").code == 404
    patch(custom, {"spec": {"versions": [custom.version(**STATUS)]}})
    custom.world.advance(1)
    assert custom.do("get", name="a", subresource="status").code == 200
    patch(custom, {"spec": {"versions": [custom.version()]}})
    custom.world.advance(1)
    assert custom.do("get", name="a", subresource="status").code == 404


def test_deleting_a_definition_deletes_its_objects_first(custom: Any) -> None:
    custom.define()
    custom.create("a")
    custom.create("b", metadata={"finalizers": ["example.com/hold"]})
    answer = custom.do("delete", CRDS, NAME, namespace=None)
    assert answer.code == 200
    custom.world.advance(3)
    obj = custom.do("get", CRDS, NAME, namespace=None).obj
    assert obj["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert custom.conditions()["Terminating"] == "True"
    assert custom.do("list").names == ["b"]
    assert custom.create("c").code == 405
    custom.do("patch", name="b", body={"metadata": {"finalizers": None}})
    custom.world.advance(3)
    assert custom.do("get", CRDS, NAME, namespace=None).code == 404
    assert custom.do("list").code == 404
    # A new definition of that name starts without objects.
    custom.define()
    assert custom.do("list").names == []


def test_versions_are_one_object(custom: Any) -> None:
    custom.define(custom.version("v1"), custom.version("v2", storage=False))
    custom.create(spec={"x": 1})
    second = custom.do("get", "widgets.v2.example.com", "a").obj
    assert (second["apiVersion"], second["spec"]) == ("example.com/v2", {"x": 1})
    body = {**second, "spec": {"x": 2}}
    assert custom.do("update", "widgets.v2.example.com", "a", body=body).code == 200
    assert custom.do("get", "widgets.v1.example.com", "a").obj["spec"] == {"x": 2}
    swapped = [custom.version("v1", storage=False), custom.version("v2")]
    answer = patch(custom, {"spec": {"versions": swapped}})
    assert answer.obj["status"]["storedVersions"] == ["v1", "v2"]
    custom.world.advance(1)
    for name in ("v1", "v2"):
        shown = custom.do("get", f"widgets.{name}.example.com", "a").obj
        assert (shown["apiVersion"], shown["spec"]) == (f"example.com/{name}", {"x": 2})


def test_a_version_that_is_only_stored_is_not_served(custom: Any) -> None:
    custom.define(custom.version("v1", served=False), custom.version("v2", storage=False))
    assert custom.do("list", "widgets.v1.example.com").code == 404
    body = custom.widget(apiVersion="example.com/v2")
    assert custom.do("create", "widgets", body=body).code == 201
    assert custom.do("get", "widgets", "a").obj["apiVersion"] == "example.com/v2"


def test_cluster_scoped_resources(custom: Any) -> None:
    custom.define(scope="Cluster")
    body = custom.widget()
    assert custom.do("create", body=body, namespace=None).code == 201
    assert custom.do("get", name="a", namespace=None).obj["metadata"].get("namespace") is None


def test_generation_counts_changes_of_all_but_metadata_and_status(custom: Any) -> None:
    custom.define(custom.version(**STATUS))
    assert custom.create(spec={"x": 1}).obj["metadata"]["generation"] == 1
    for body, generation in (
        ({"metadata": {"labels": {"a": "b"}}}, 1),
        ({"status": {"x": 1}}, 1),
        ({"spec": {"x": 2}}, 2),
        ({"other": 1}, 3),
    ):
        answer = custom.do("patch", name="a", body=body)
        assert answer.obj["metadata"]["generation"] == generation
    answer = custom.do("patch", name="a", subresource="status", body={"status": {"x": 1}})
    assert answer.obj["metadata"]["generation"] == 3
    assert answer.obj["status"] == {"x": 1}


def test_a_status_update_changes_nothing_else(custom: Any) -> None:
    custom.define(custom.version(**STATUS))
    assert "status" not in custom.create(spec={"x": 1}, status={"x": 1}).obj
    body = {"spec": {"x": 2}, "metadata": {"labels": {"a": "b"}}, "status": {"y": 1}}
    obj = custom.do("patch", name="a", subresource="status", body=body).obj
    assert (obj["spec"], obj["status"]) == ({"x": 1}, {"y": 1})
    assert "labels" not in obj["metadata"]


def test_scale_follows_the_paths_of_the_definition(custom: Any) -> None:
    scale = {
        "specReplicasPath": ".spec.size.wanted",
        "statusReplicasPath": ".status.have",
        "labelSelectorPath": ".status.selector",
    }
    custom.define(custom.version(subresources={"status": {}, "scale": scale}))
    custom.create(spec={"x": 1})
    answer = custom.do("get", name="a", subresource="scale")
    assert answer.code == 500
    text = 'the spec replicas field ".spec.size.wanted" does not exist'
    assert answer.status["message"] == f"Internal error occurred: {text}"
    custom.do("patch", name="a", body={"spec": {"size": {"wanted": 2}}})
    status = {"have": 1, "selector": "app=x"}
    custom.do("patch", name="a", subresource="status", body={"status": status})
    shown = custom.do("get", name="a", subresource="scale").obj
    assert shown["spec"] == {"replicas": 2}
    assert shown["status"] == {"replicas": 1, "selector": "app=x"}
    answer = custom.do("patch", name="a", subresource="scale", body={"spec": {"replicas": 5}})
    assert answer.code == 200
    assert custom.do("get", name="a").obj["spec"] == {"x": 1, "size": {"wanted": 5}}


def test_selectable_fields_select(custom: Any) -> None:
    fields = {"color": {"type": "string"}, "on": {"type": "boolean"}, "n": {"type": "integer"}}
    paths = [{"jsonPath": f".spec.{name}"} for name in fields]
    custom.define(custom.version(spec={"properties": fields}, selectableFields=paths))
    custom.create("a", spec={"color": "red", "on": True, "n": 1})
    custom.create("b", spec={"color": "blue"})
    assert custom.do("list", fieldSelector="spec.color=red").names == ["a"]
    assert custom.do("list", fieldSelector="spec.on=true,spec.n=1").names == ["a"]
    assert custom.do("list", fieldSelector="spec.color!=red").names == ["b"]
    assert custom.do("list", fieldSelector="spec.other=1").code == 400
    watch = custom.world.watch("widgets", "default", fieldSelector="spec.color=red")
    custom.do("patch", name="b", body={"spec": {"color": "red"}})
    assert watch.events == [("ADDED", "a"), ("ADDED", "b")]


def test_a_replacement_needs_a_resource_version(custom: Any) -> None:
    custom.define()
    custom.create()
    answer = custom.do("update", name="a", body=custom.widget(spec={"x": 2}))
    assert custom.causes(answer)[0][0] == "metadata.resourceVersion"


def test_another_kind_in_the_body_is_invalid(custom: Any) -> None:
    custom.define()
    body = {**custom.widget(), "kind": "Gadget"}
    answer = custom.do("create", body=body)
    assert custom.causes(answer) == [("kind", 'Invalid value: "Gadget": must be Widget')]
    assert answer.status["message"] == (
        'Gadget.example.com "a" is invalid: kind: Invalid value: "Gadget": must be Widget'
    )


def test_writing_a_deprecated_version_is_warned_of(custom: Any) -> None:
    old = custom.version("v1beta1", storage=False, deprecated=True)
    own = custom.version("v1alpha1", storage=False, deprecated=True, deprecationWarning="leave it")
    custom.define(custom.version("v1"), old, own)
    for name, text in (
        ("v1beta1", "example.com/v1beta1 Widget is deprecated; use example.com/v1 Widget"),
        ("v1alpha1", "leave it"),
    ):
        body = custom.widget(name, apiVersion=f"example.com/{name}")
        answer = custom.do("create", f"widgets.{name}.example.com", body=body)
        assert answer.payload[3] == [text]
    assert len(custom.create().payload) == 3


def test_objects_of_a_version_that_is_served_no_longer_go_with_their_definition(
    custom: Any,
) -> None:
    custom.define()
    custom.create()
    assert patch(custom, {"spec": {"versions": [custom.version(served=False)]}}).code == 200
    custom.world.advance(1)
    assert custom.do("list").code == 404
    custom.do("delete", CRDS, NAME, namespace=None)
    custom.world.advance(3)
    assert custom.do("get", CRDS, NAME, namespace=None).code == 404
    custom.define()
    assert custom.do("list").names == []


def test_a_definition_may_serve_nothing_from_the_start(custom: Any) -> None:
    custom.define(custom.version(served=False))
    assert custom.conditions()["Established"] == "True"
    assert custom.do("list").code == 404
    patch(custom, {"spec": {"versions": [custom.version()]}})
    custom.world.advance(1)
    assert custom.create().code == 201
