"""Options of writes: what they mean, and that what means nothing is refused."""

from __future__ import annotations

from typing import Any

import pytest

UNKNOWN = {"metadata": {"name": "a", "colour": "red"}, "dta": {"k": "v"}}


@pytest.mark.parametrize(
    ("option", "value", "cause"),
    [
        ("dryRun", "foo", 'Unsupported value: ["foo"]: supported values: "All"'),
        ("dryRun", ["All", "x"], 'Unsupported value: ["All", "x"]: supported values: "All"'),
        (
            "fieldValidation",
            "foo",
            'Unsupported value: "foo": supported values: "", "Ignore", "Strict", "Warn"',
        ),
        ("fieldManager", "a" * 129, "Too long: may not be more than 128 bytes"),
    ],
)
@pytest.mark.parametrize("verb", ["create", "update", "patch"])
def test_an_option_without_meaning_is_refused(
    world: Any, make: Any, verb: str, option: str, value: Any, cause: str
) -> None:
    name = None if verb == "create" else "a"
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    before = world.memory.revision
    refused = world.do(
        verb, "configmaps", "default", name, body=make.config_map("a"), **{option: value}
    )
    assert refused.code == 422
    kind = f"{verb.capitalize()}Options"
    assert refused.status["message"] == f'{kind}.meta.k8s.io "" is invalid: {option}: {cause}'
    assert refused.status["details"]["causes"][0]["field"] == option
    assert world.memory.revision == before


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            {"dryRun": ["x"]},
            422,
            (
                'DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["x"]: '
                'supported values: "All"'
            ),
        ),
        (
            {"propagationPolicy": "Never"},
            422,
            (
                'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: '
                '"Never": supported values: "Foreground", "Background", "Orphan", "nil"'
            ),
        ),
        (
            {"gracePeriodSeconds": "soon"},
            400,
            (
                'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: json: cannot '
                "unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type "
                "int64"
            ),
        ),
    ],
)
@pytest.mark.parametrize("verb", ["delete", "deletecollection"])
def test_delete_options_are_checked_wherever_they_stand(
    world: Any, make: Any, verb: str, options: dict[str, Any], code: int, message: str
) -> None:
    name = "a" if verb == "delete" else None
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    in_body = world.do(verb, "configmaps", "default", name, body=options)
    in_query = world.do(verb, "configmaps", "default", name, **options)
    for refused in (in_body, in_query):
        assert (refused.code, refused.status["message"]) == (code, message)
    assert world.do("get", "configmaps", "default", "a").code == 200


def test_unknown_fields_are_refused_dropped_or_told_as_asked_for(world: Any) -> None:
    strict = world.do("create", "configmaps", "default", body=UNKNOWN, fieldValidation="Strict")
    assert strict.code == 400
    assert 'strict decoding error: unknown field "metadata.colour"' in strict.status["message"]
    warned = world.do("create", "configmaps", "default", body=UNKNOWN, fieldValidation="Warn")
    assert warned.code == 201
    assert warned.payload[3] == ['unknown field "metadata.colour"', 'unknown field "dta"']
    body = {**UNKNOWN, "metadata": {"name": "b", "colour": "red"}}
    ignored = world.do("create", "configmaps", "default", body=body, fieldValidation="Ignore")
    assert ignored.code == 201
    assert len(ignored.payload) == 3
    for name in ("a", "b"):
        stored = world.do("get", "configmaps", "default", name).obj
        assert "dta" not in stored
        assert "colour" not in stored["metadata"]


def test_unknown_fields_deep_in_an_object_are_dropped_and_their_neighbours_stay(
    world: Any, make: Any
) -> None:
    body = make.deployment("web")
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["imagee"] = "typo"
    world.do("create", "deployments.apps", "default", body=body, fieldValidation="Ignore")
    stored = world.do("get", "deployments.apps", "default", "web").obj
    kept = stored["spec"]["template"]["spec"]["containers"][0]
    assert kept["image"] == container["image"]
    assert "imagee" not in kept


def test_wrong_types_are_refused_whatever_is_asked_for(world: Any, make: Any) -> None:
    body = make.config_map("a", data={"k": 1})
    for directive in ("Strict", "Warn", "Ignore"):
        refused = world.do("create", "configmaps", "default", body=body, fieldValidation=directive)
        assert refused.code == 400
        assert "json: cannot unmarshal number into Go struct field" in refused.status["message"]


def test_a_service_replaced_by_its_manifest_keeps_its_addresses(world: Any, make: Any) -> None:
    ports = [{"name": "http", "port": 80}, {"name": "https", "port": 443}]
    manifest = make.service("web", type="NodePort", ports=ports)
    spec = world.do("create", "services", "default", body=manifest).obj["spec"]
    numbers = {port["name"]: port["nodePort"] for port in spec["ports"]}
    again = world.do("update", "services", "default", "web", body=manifest)
    assert again.code == 200
    assert again.obj["spec"] == spec
    moved = [{"name": "https", "port": 8443}, {"name": "http", "port": 80}]
    manifest = make.service("web", type="NodePort", ports=moved)
    changed = world.do("update", "services", "default", "web", body=manifest)
    assert changed.obj["spec"]["clusterIP"] == spec["clusterIP"]
    assert {port["name"]: port["nodePort"] for port in changed.obj["spec"]["ports"]} == numbers


def test_a_service_that_needs_no_node_ports_any_more_gives_them_back(world: Any, make: Any) -> None:
    manifest = make.service("web", type="NodePort")
    spec = world.do("create", "services", "default", body=manifest).obj["spec"]
    number = spec["ports"][0]["nodePort"]
    world.do("update", "services", "default", "web", body=make.service("web"))
    other = make.service("other", type="NodePort", ports=[{"port": 80, "nodePort": number}])
    assert world.do("create", "services", "default", body=other).code == 201
