"""What an object has in any case is in no manager's set until something is in it."""

from __future__ import annotations

import json
from importlib.resources import files

from k8sactors.api.definitions import definitions
from k8sactors.api.managed_fields.comparing import compare
from k8sactors.api.managed_fields.field_types import type_of_kind


def test_present_fields_are_fields_of_their_types() -> None:
    table = json.loads((files("k8sactors.api") / "data" / "present_fields.json").read_text("utf-8"))
    assert table["io.k8s.api.core.v1.Container"] == "name resources"
    for name, fields in table.items():
        assert set(fields.split()) <= set(definitions()[name]["properties"]), name


def test_structs_are_there_before_they_are_filled() -> None:
    deployment = type_of_kind("apps/v1", "Deployment")
    container = {"name": "a", "image": "b"}
    new = {
        "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {"spec": {"containers": [container], "volumes": [{"name": "v"}]}},
        },
    }
    spec = compare({}, new, deployment).added["f:spec"]
    assert spec["f:strategy"] == {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}}
    pod = spec["f:template"]["f:spec"]
    assert "." not in pod["f:containers"]
    assert "." in pod["f:volumes"]
    assert pod["f:containers"]['k:{"name":"a"}'] == {
        ".": {},
        "f:image": {},
        "f:name": {},
        "f:resources": {},
    }
