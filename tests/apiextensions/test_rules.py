"""CEL rules of custom resources."""

from __future__ import annotations

from typing import Any

import pytest


def define(custom: Any, *rules: dict[str, Any], **properties: Any) -> None:
    known = {"a": {"type": "integer"}, "b": {"type": "integer"}, **properties}
    spec = {"properties": known, "x-kubernetes-validations": list(rules)}
    custom.define(custom.version(spec=spec))


def test_a_rule_that_fails_is_said(custom: Any) -> None:
    define(custom, {"rule": "self.a <= self.b"})
    assert custom.create("ok", spec={"a": 1, "b": 2}).code == 201
    answer = custom.create(spec={"a": 3, "b": 2})
    text = 'Invalid value: "object": failed rule: self.a <= self.b'
    assert custom.causes(answer) == [("spec", text)]


@pytest.mark.parametrize(
    ("more", "field", "reason", "text"),
    [
        (
            {"message": "a is too large"},
            "spec",
            "Invalid",
            'Invalid value: "object": a is too large',
        ),
        ({"fieldPath": ".a", "message": "m"}, "spec.a", "Invalid", 'Invalid value: "object": m'),
        ({"reason": "FieldValueForbidden", "message": "m"}, "spec", "Forbidden", "Forbidden: m"),
        ({"reason": "FieldValueRequired", "message": "m"}, "spec", "Required", "Required value: m"),
        (
            {"reason": "FieldValueDuplicate", "message": "m"},
            "spec",
            "Duplicate",
            'Duplicate value: "object"',
        ),
        (
            {"messageExpression": "'a is %d'.format([self.a])", "message": "m"},
            "spec",
            "Invalid",
            'Invalid value: "object": a is 3',
        ),
        # An expression that fails leaves the message.
        (
            {"messageExpression": "'a is ' + string(self.a / 0)", "message": "m"},
            "spec",
            "Invalid",
            'Invalid value: "object": m',
        ),
    ],
)
def test_how_a_rule_fails_is_its_own_matter(
    custom: Any, more: dict[str, Any], field: str, reason: str, text: str
) -> None:
    define(custom, {"rule": "self.a <= 2", **more})
    answer = custom.create(spec={"a": 3})
    assert custom.causes(answer) == [(field, text)]
    assert answer.status["details"]["causes"][0]["reason"] == f"FieldValue{reason}"


def test_an_error_in_a_rule_is_said(custom: Any) -> None:
    define(custom, {"rule": "self.a / self.b == 1"})
    text = 'Invalid value: "object": division by zero evaluating rule: failed rule: '
    assert custom.causes(custom.create(spec={"a": 1, "b": 0})) == [
        ("spec", f"{text}self.a / self.b == 1")
    ]


def test_a_transition_rule_compares_with_the_old_object(custom: Any) -> None:
    define(custom, {"rule": "self.a == oldSelf.a", "message": "a is immutable"})
    assert custom.create(spec={"a": 1}).code == 201
    assert custom.do("patch", name="a", body={"spec": {"b": 5}}).code == 200
    answer = custom.do("patch", name="a", body={"spec": {"a": 2}})
    assert custom.causes(answer) == [("spec", 'Invalid value: "object": a is immutable')]


def test_an_optional_old_object_is_judged_on_creation_too(custom: Any) -> None:
    rule = "oldSelf.hasValue() ? self.a >= oldSelf.value().a : self.a == 0"
    define(custom, {"rule": rule, "optionalOldSelf": True, "message": "starts at 0 and grows"})
    assert custom.create(spec={"a": 1}).code == 422
    assert custom.create(spec={"a": 0}).code == 201
    assert custom.do("patch", name="a", body={"spec": {"a": 3}}).code == 200
    assert custom.do("patch", name="a", body={"spec": {"a": 2}}).code == 422


def test_items_of_map_lists_have_an_old_value(custom: Any) -> None:
    item = {
        "type": "object",
        "required": ["k"],
        "properties": {"k": {"type": "string"}, "v": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v"}],
    }
    shape = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    define(custom, l={"type": "array", **shape, "items": item})
    custom.create(spec={"l": [{"k": "x", "v": 2}, {"k": "y", "v": 5}]})
    moved = [{"k": "y", "v": 5}, {"k": "z", "v": 0}, {"k": "x", "v": 1}]
    causes = custom.causes(custom.do("patch", name="a", body={"spec": {"l": moved}}))
    assert [field for field, _ in causes] == ["spec.l[2]"]


def test_times_bytes_and_numbers_have_their_types(custom: Any) -> None:
    define(
        custom,
        {"rule": "self.t.getFullYear() == 2020 && self.d > duration('1m')"},
        {"rule": "self.n / 2.0 == 1.5 && size(self.y) == 2"},
        t={"type": "string", "format": "date-time"},
        d={"type": "string", "format": "duration"},
        n={"type": "number"},
        y={"type": "string", "format": "byte"},
    )
    spec = {"t": "2020-05-01T00:00:00Z", "d": "1h", "n": 3, "y": "YWI="}
    assert custom.create(spec=spec).code == 201
    assert custom.create("b", spec={**spec, "t": "2021-05-01T00:00:00Z"}).code == 422


def test_names_that_are_no_identifiers_are_escaped(custom: Any) -> None:
    define(
        custom,
        {"rule": "self.a__dash__b == 1 && self.__in__ == 2 && self.x__dot__y == 3"},
        **{name: {"type": "integer"} for name in ("a-b", "in", "x.y")},
    )
    assert custom.create(spec={"a-b": 1, "in": 2, "x.y": 3}).code == 201


def test_the_root_knows_its_name_and_no_other_metadata(custom: Any) -> None:
    rules = [{"rule": "self.metadata.name == 'a' && self.kind == 'Widget'"}]
    schema = {"type": "object", "x-kubernetes-validations": rules}
    custom.define(custom.version(schema=schema))
    assert custom.create("a").code == 201
    assert custom.create("b").code == 422


def test_rules_are_not_asked_about_values_of_a_wrong_type(custom: Any) -> None:
    define(custom, {"rule": "self.a > 1"})
    causes = custom.causes(custom.create(spec={"a": "x"}))
    assert [field for field, _ in causes] == ["spec.a"]


def test_a_rule_that_costs_too_much_ends(custom: Any) -> None:
    rule = {"rule": "self.l.all(x, self.l.all(y, x == y))", "message": "m"}
    define(custom, rule, l={"type": "array", "maxItems": 1000, "items": {"type": "integer"}})
    assert custom.create("ok", spec={"l": [1, 1]}).code == 201
    text = "no further validation rules will be run due to call cost exceeding limit for rule: m"
    assert custom.causes(custom.create(spec={"l": [1] * 900})) == [
        ("spec", f'Invalid value: "object": {text}')
    ]


def test_status_is_judged_too(custom: Any) -> None:
    status = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.n < 5"}],
    }
    schema = {"type": "object", "properties": {"status": status}}
    custom.define(custom.version(schema=schema, subresources={"status": {}}))
    custom.create()
    answer = custom.do("patch", name="a", subresource="status", body={"status": {"n": 7}})
    assert [field for field, _ in custom.causes(answer)] == ["status"]
