"""Compiling and evaluating."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.cel import (
    CompileError,
    CostLimitError,
    Environment,
    EvaluationError,
    Type,
    function,
)

ENVIRONMENT = Environment({"self": Type.DYN, "oldSelf": Type.DYN})


def evaluate(source: str, **values: Any) -> Any:
    return ENVIRONMENT.compile(source).evaluate(values)


def test_json_values_are_compared_across_number_types() -> None:
    assert evaluate("self.a > 1.5 && self.b == null", self={"a": 2, "b": None})


def test_a_program_knows_the_variables_that_it_names() -> None:
    program = ENVIRONMENT.compile("self.all(x, x in oldSelf)")
    assert program.names >= {"self", "oldSelf"}
    assert "oldSelf" not in ENVIRONMENT.compile("has(self.a)").names


def test_a_program_knows_the_type_of_its_value() -> None:
    assert ENVIRONMENT.compile("self.a == 1").type_name == "BOOL"
    assert ENVIRONMENT.compile("'a' + self.b").type_name == "STRING"


def test_what_does_not_compile_is_said_with_line_and_column() -> None:
    with pytest.raises(CompileError) as caught:
        ENVIRONMENT.compile("self.a +")
    assert str(caught.value).startswith("ERROR: <input>:1:9: Syntax error: mismatched input")
    with pytest.raises(CompileError) as caught:
        ENVIRONMENT.compile("unknown(self)")
    expected = "ERROR: <input>:1:8: undeclared reference to 'unknown' (in container '')"
    assert str(caught.value).startswith(expected)


def test_a_huge_expression_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(CompileError, match="longer than 10000 characters"):
        ENVIRONMENT.compile("1 + " * 3000 + "1")


@pytest.mark.parametrize("source", ["(" * 4000, "[" * 4000 + "]" * 4000])
def test_deep_expressions_are_refused(source: str) -> None:
    with pytest.raises(CompileError):
        ENVIRONMENT.compile(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("self.x == 1", "no such key: x"),
        ("1 / self.zero == 1", "division by zero"),
        ("self.zero.y == 1", "no such overload"),
        ("self.zero + self.text == 1", "no such overload"),
    ],
)
def test_errors_are_in_the_words_of_the_real_server(source: str, text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(source, self={"zero": 0, "text": "a"})
    assert str(caught.value) == text


def test_loops_in_loops_end_at_a_limit() -> None:
    items = list(range(300))
    with pytest.raises(CostLimitError):
        evaluate("self.all(a, self.all(b, a + b >= 0))", self=items)


def test_an_environment_may_have_functions_of_its_own() -> None:
    shout = function("shout", [Type.STRING], Type.STRING, lambda text: text.upper())
    environment = Environment({}, [shout])
    assert environment.compile("shout('a')").evaluate({}) == "A"
    with pytest.raises(CompileError):
        ENVIRONMENT.compile("shout('a')")
