"""What the operators of label and node selectors ask of their values."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api.validation.metadata import check_selector
from k8sactors.api.validation.placement import check_node_term

NEEDS_VALUES = "Required value: must be specified when `operator` is 'In' or 'NotIn'"
NO_VALUES = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
SET_OPERATORS = [
    ("In", [], f"values: {NEEDS_VALUES}"),
    ("NotIn", [], f"values: {NEEDS_VALUES}"),
    ("Exists", ["x"], f"values: {NO_VALUES}"),
    ("DoesNotExist", ["x"], f"values: {NO_VALUES}"),
    ("Near", [], 'operator: Invalid value: "Near": not a valid selector operator'),
]
ONE_VALUE = "Required value: must be specified single value when `operator` is 'Lt' or 'Gt'"


def expression(operator: str, values: list[str]) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}


@pytest.mark.parametrize(("operator", "values", "problem"), SET_OPERATORS)
@pytest.mark.parametrize("check", [check_selector, check_node_term])
def test_both_kinds_of_selector_judge_set_operators_alike(
    check: Any, operator: str, values: list[str], problem: str
) -> None:
    causes: list[Any] = []
    check(expression(operator, values), "spec", causes)
    assert [f"spec.matchExpressions[0].{problem}"] == [str(cause) for cause in causes]


def test_only_node_selectors_compare_numbers() -> None:
    of_labels: list[Any] = []
    of_nodes: list[Any] = []
    check_selector(expression("Gt", ["1"]), "spec", of_labels)
    check_node_term(expression("Gt", ["1"]), "spec", of_nodes)
    assert of_nodes == []
    assert [cause.field for cause in of_labels] == ["spec.matchExpressions[0].operator"]
    check_node_term(expression("Lt", []), "spec", of_nodes)
    assert [f"spec.matchExpressions[0].values: {ONE_VALUE}"] == [str(cause) for cause in of_nodes]
