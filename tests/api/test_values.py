"""Quantities, selectors, patches, codec, errors and metadata."""

from __future__ import annotations

import json
import random  # noqa: TID251 - a seeded stream of its own
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sactors.api import codec, errors, manifest, meta, patch, quantity, schema, scheme, selectors

_TEXT = st.text("abc", max_size=3)
_JSON = st.recursive(
    st.integers(-9, 9) | _TEXT | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=12,
)
_LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)


@given(st.integers(-(10**15), 10**15), st.sampled_from(list(quantity.Format)))
def test_a_written_quantity_reads_back_as_the_same_amount(
    nano: int, family: quantity.Format
) -> None:
    amount = Fraction(nano, 10**9)
    assert amount == quantity.parse(quantity.format_quantity(amount, family))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("0.5", "500m"), ("1024Ki", "1Mi"), ("1000", "1k"), ("1.5Gi", "1536Mi"), ("0Gi", "0")],
)
def test_quantities_have_one_canonical_form(text: str, canonical: str) -> None:
    assert canonical == quantity.canonical(text)


def test_integer_forms_round_up() -> None:
    assert quantity.parse_cpu_milli("1u") == 1
    assert quantity.parse_memory_bytes("1500m") == 2
    with pytest.raises(errors.QuantityError):
        quantity.parse("1 Gi")


def _is_patched(value: Any, change: Any) -> bool:
    if not isinstance(change, dict):
        return bool(value == change)
    return isinstance(value, dict) and all(
        key in value and _is_patched(value[key], inner) for key, inner in change.items()
    )


@given(_JSON, _JSON)
def test_a_merge_patch_without_nulls_is_in_its_result_and_applies_once(
    obj: Any, change: Any
) -> None:
    once = patch.merge_patch(obj, change)
    assert _is_patched(once, change)
    assert once == patch.merge_patch(once, change)


@given(_LABELS, st.sampled_from("abc"), st.sets(st.sampled_from("xyz"), min_size=1))
def test_set_based_selectors_match_as_their_definition_says(
    labels: dict[str, str], key: str, values: set[str]
) -> None:
    listed = ",".join(sorted(values))
    inside = selectors.parse_label_selector(f"{key} in ({listed})")
    outside = selectors.parse_label_selector(f"{key} notin ({listed})")
    assert inside.matches(labels) == (labels.get(key) in values)
    assert outside.matches(labels) == (labels.get(key) not in values)


@given(_LABELS, _LABELS)
def test_equality_text_and_match_labels_select_the_same(
    labels: dict[str, str], wanted: dict[str, str]
) -> None:
    text = ",".join(f"{key}={value}" for key, value in wanted.items())
    expected = wanted.items() <= labels.items()
    assert expected == selectors.parse_label_selector(text).matches(labels)
    assert expected == selectors.parse_label_selector({"matchLabels": wanted}).matches(labels)


@pytest.mark.parametrize("text", ["a in", "a=b=c", "a b", "a,", "=x", "a in (x", "a>x"])
def test_malformed_selectors_are_refused(text: str) -> None:
    with pytest.raises(errors.SelectorError):
        selectors.parse_label_selector(text)


def test_field_selectors_compare_the_text_of_scalars() -> None:
    pod = {"spec": {"nodeName": "n1"}, "status": {"phase": "Running"}}
    assert selectors.parse_field_selector("spec.nodeName=n1,status.phase!=Failed").matches(pod)
    assert not selectors.parse_field_selector("spec.nodeName!=n1").matches(pod)


def test_strategic_merge_follows_merge_keys_and_directives() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}]},
    }
    change = {
        "spec": {"containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}]}
    }
    result = patch.strategic_merge(pod, change)
    assert result["spec"]["containers"] == [{"name": "a", "image": "2", "args": ["x"]}]
    assert len(pod["spec"]["containers"]) == 2  # type: ignore[index]  # the original is untouched


def test_the_codec_keeps_everything_but_the_resource_version() -> None:
    obj = {"kind": "X", "metadata": {"name": "a", "resourceVersion": "7"}}
    data = codec.encode(obj)
    assert codec.decode(data, 0) == {"kind": "X", "metadata": {"name": "a"}}
    assert codec.decode(data, 9)["metadata"]["resourceVersion"] == "9"
    assert obj["metadata"] == {"name": "a", "resourceVersion": "7"}


def test_messages_are_worded_as_by_the_real_server() -> None:
    info = scheme.builtin().resource("deployments.apps")
    cause = errors.Cause("spec.selector", errors.FIELD_VALUE_REQUIRED, "Required value")
    invalid = errors.invalid(info, "x", [cause])
    assert str(invalid) == 'Deployment.apps "x" is invalid: spec.selector: Required value'
    assert str(errors.not_found(info, "x")) == 'deployments.apps "x" not found'
    assert errors.StatusError.from_status(invalid.status()).status() == invalid.status()


def test_unknown_fields_and_wrong_types_are_named_by_path() -> None:
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": "3", "foo": 1}}
    causes = schema.validate(obj)
    assert [cause.field for cause in causes] == ["spec.replicas", "spec.foo"]
    assert 'strict decoding error: unknown field "spec.foo"' in str(
        schema.decoding_error(obj, causes[1:])
    )
    with pytest.raises(errors.UnknownKindError, match='no matches for kind "X" in version "v1"'):
        schema.validate({"apiVersion": "v1", "kind": "X"})


def test_every_built_in_kind_has_a_schema() -> None:
    for info in scheme.builtin().resources():
        assert schema.validate({"apiVersion": info.api_version, "kind": info.kind}) == []


def test_resources_are_found_by_what_people_type() -> None:
    served = scheme.builtin()
    assert served.lookup("deploy") is served.resource("deployments.apps")
    assert served.lookup("Pod") is served.kind("v1", "Pod")


def test_generated_names_and_times() -> None:
    assert len(meta.generate_name("p" * 70, random.Random(1))) == meta.NAME_LENGTH_MAX
    assert meta.format_micro_time(1_735_689_600_000_001_000) == "2025-01-01T00:00:00.000001Z"
    assert meta.parse_time("2025-01-01T00:00:00Z") == 1_735_689_600_000_000_000


def test_a_transition_time_moves_only_when_the_status_changes() -> None:
    first = meta.set_condition(None, {"type": "Ready", "status": "True"}, "t1")
    same = meta.set_condition(first, {"type": "Ready", "status": "True"}, "t2")
    changed = meta.set_condition(same, {"type": "Ready", "status": "False"}, "t3")
    assert same[0]["lastTransitionTime"] == "t1"
    assert changed[0]["lastTransitionTime"] == "t3"


def test_a_cause_is_reported_at_the_place_of_its_key() -> None:
    text = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    imag: x\n"
    [found] = manifest.load(text, "pod.yaml")
    [cause] = schema.validate(found.obj)
    problem = found.locate(cause)
    assert (problem.file, problem.line, problem.column) == ("pod.yaml", 6, 5)


def test_lists_are_flattened_and_other_things_refused() -> None:
    text = "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: ConfigMap}\n"
    assert [entry.obj["kind"] for entry in manifest.load(text)] == ["ConfigMap"]
    with pytest.raises(errors.ManifestError, match="apiVersion"):
        manifest.load("kind: Pod\n")


@pytest.mark.parametrize("kind", ["ConfigMapList", "List"])
def test_the_items_of_a_saved_list_are_taken(kind: str) -> None:
    items = [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]
    if kind == "List":
        items = [{"apiVersion": "v1", "kind": "ConfigMap", **item} for item in items]
    text = json.dumps({"apiVersion": "v1", "kind": kind, "items": items})
    found = [entry.obj for entry in manifest.load(text)]
    assert [(obj["apiVersion"], obj["kind"]) for obj in found] == [("v1", "ConfigMap")] * 2
    assert [obj["metadata"]["name"] for obj in found] == ["a", "b"]


def test_an_item_of_a_plain_list_must_say_its_kind() -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [{"metadata": {"name": "a"}}]})
    with pytest.raises(errors.ManifestError, match="expected a non-empty string in 'apiVersion'"):
        manifest.load(text)
