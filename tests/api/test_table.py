"""Objects as a Table, and as their metadata alone."""

from __future__ import annotations

import pytest

from k8sactors.api.columns import AGE, NAME, integer
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import parse_time
from k8sactors.api.table import (
    check_include_object,
    partial_metadata_list,
    table,
)
from k8sactors.simulation import SECOND

API_VERSION = "meta.k8s.io/v1"
CREATED = "2026-01-01T00:00:00Z"
NOW_NS = parse_time(CREATED) + 90 * SECOND
SET = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "web", "creationTimestamp": CREATED, "labels": {"a": "b"}},
    "spec": {"replicas": 3},
}
COLUMNS = (NAME, integer("Desired", "spec.replicas"), AGE)


def test_a_table_has_a_row_for_each_object_and_says_its_columns_once() -> None:
    shown = table(API_VERSION, COLUMNS, [SET], {"resourceVersion": "7"}, NOW_NS)
    assert (shown["kind"], shown["apiVersion"]) == ("Table", API_VERSION)
    assert shown["metadata"] == {"resourceVersion": "7"}
    assert [row["cells"] for row in shown["rows"]] == [["web", 3, "90s"]]
    columns = {each["name"]: each for each in shown["columnDefinitions"]}
    assert list(columns) == ["Name", "Desired", "Age"]
    assert columns["Name"]["format"] == "name"
    assert (columns["Desired"]["type"], columns["Desired"]["priority"]) == ("integer", 0)
    without = table(API_VERSION, COLUMNS, [SET], {}, NOW_NS, headers=False)
    assert without["columnDefinitions"] is None
    assert without["rows"] == shown["rows"]


def test_a_row_holds_the_object_its_metadata_or_nothing() -> None:
    def held(include: str) -> object:
        chosen = check_include_object(include)
        return table(API_VERSION, COLUMNS, [SET], {}, NOW_NS, include=chosen)["rows"][0]["object"]

    partial = {
        "kind": "PartialObjectMetadata",
        "apiVersion": API_VERSION,
        "metadata": SET["metadata"],
    }
    assert held("") == held("Metadata") == partial
    assert held("Object") == SET
    assert held("None") is None
    with pytest.raises(StatusError, match='includeObject: Invalid value: "Half"') as refused:
        held("Half")
    assert refused.value.code == 400


def test_a_list_of_metadata_holds_nothing_else() -> None:
    listed = partial_metadata_list(API_VERSION, [SET], {"resourceVersion": "7", "continue": "x"})
    assert listed == {
        "kind": "PartialObjectMetadataList",
        "apiVersion": API_VERSION,
        "metadata": {"resourceVersion": "7", "continue": "x"},
        "items": [
            {
                "kind": "PartialObjectMetadata",
                "apiVersion": API_VERSION,
                "metadata": SET["metadata"],
            }
        ],
    }
