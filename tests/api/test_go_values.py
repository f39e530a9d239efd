"""The table of plain fields against the types of the API, where these are at hand."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sactors.api import definitions
from k8sactors.api.go_values import _plain_fields, is_exact, struct_of
from k8sactors.api.scheme import builtin

TYPES = Path(__file__).parents[2].resolve().parent / "shared" / "facts" / "types.tsv"
LISTS_AND_SCALARS = ("list", "map")


def test_every_plain_field_is_a_field_of_its_type() -> None:
    for name, fields in _plain_fields().items():
        assert fields <= definitions.definitions()[name]["properties"].keys(), name


def test_every_built_in_kind_has_a_type() -> None:
    for info in builtin().resources():
        empty = {"apiVersion": info.api_version, "kind": info.kind, "metadata": {"labels": {}}}
        held = struct_of(info.api_version, info.kind)(empty)
        assert held == {"apiVersion": info.api_version, "kind": info.kind, "metadata": {}}


def test_what_needs_nothing_comes_back_as_it_is() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {"containers": [{"name": "c", "args": ["a"]}]},
    }
    assert struct_of("v1", "Pod")(pod) is pod


def test_the_table_says_what_the_types_say() -> None:
    if not TYPES.exists():
        pytest.skip(f"{TYPES} is not there")
    compared = 0
    for line in TYPES.read_text("utf-8").splitlines()[1:]:
        struct, field, form, empty, _type = line.split("\t")
        name = "io." + ".".join(struct.replace("k8s.io.", "k8s.").split("."))
        definition = definitions.definitions().get(name)
        if definition is None or field not in definition.get("properties", {}):
            continue
        plain = field in _plain_fields().get(name, frozenset())
        compared += 1
        if form == "pointer" or empty == "always":
            assert not plain, (struct, field)
        elif form in LISTS_AND_SCALARS:
            assert plain, (struct, field)
    assert compared > 2000


AMOUNTS = st.from_regex(r"[+-]?[0-9]{1,7}(\.[0-9]{1,4})?(m|k|M|G|Ki|Mi|Gi|e[0-9])?", fullmatch=True)
BYTES = st.binary(max_size=7).map(lambda raw: base64.b64encode(raw).decode()) | st.from_regex(
    r"[A-Za-z0-9+/=]{0,9}\n?", fullmatch=True
)
EMPTY = st.sampled_from(["", None, "x"])


@given(AMOUNTS, BYTES, EMPTY, EMPTY, st.sampled_from([0, None, 5]), st.sampled_from([[], None]))
def test_what_is_exact_would_not_change(
    amount: str, data: str, working_dir: Any, name: Any, grace: Any, tolerations: Any
) -> None:
    container = {"name": "c", "workingDir": working_dir, "resources": {"limits": {"cpu": amount}}}
    spec = {
        "containers": [container],
        "hostname": name,
        "terminationGracePeriodSeconds": grace,
        "tolerations": tolerations,
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
    if is_exact(pod):
        assert struct_of("v1", "Pod")(pod) is pod
    del spec["tolerations"]
    if is_exact(pod):
        assert struct_of("v1", "Pod")(pod) is pod
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"key": data}}
    if is_exact(secret):
        assert struct_of("v1", "Secret")(secret) is secret


def test_ordinary_objects_are_exact() -> None:
    container = {"name": "c", "image": "i", "resources": {"limits": {"cpu": "1500m"}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
    assert is_exact(pod)
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"key": "aGVsbG8="}}
    assert is_exact(secret)
