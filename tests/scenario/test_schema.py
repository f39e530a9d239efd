"""The published JSON Schema accepts what the parser accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from k8sactors.api.located_yaml import load_documents
from k8sactors.scenario import reference
from k8sactors.scenario.binding import Reader, Struct
from k8sactors.scenario.model import ScenarioFile, json_schema

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
BASE: dict[str, Any] = {
    "apiVersion": "k8sactors/v1",
    "name": "x",
    "description": "y",
    "steps": [{"advance": "1s"}],
}


def parses(data: Any) -> bool:
    document = load_documents(json.dumps(data), "x.yaml")[0]
    reader = Reader(document)
    Struct(ScenarioFile).read(document.data, (), reader)
    return not reader.problems


def fits(data: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(data))


def test_the_published_schema_is_the_one_that_the_code_gives() -> None:
    published = (ROOT / "docs" / "scenario.schema.json").read_text()
    assert published == json.dumps(json_schema(), indent=2) + "\n", (
        "run: python -m k8sactors.scenario.model > docs/scenario.schema.json"
    )


@pytest.mark.parametrize("name", ["steps", "faults", "conditions"])
def test_the_tables_of_the_documentation_are_those_of_the_records(name: str) -> None:
    table = {
        "steps": reference.steps_table,
        "faults": reference.faults_table,
        "conditions": reference.conditions_table,
    }[name]()
    text = (ROOT / "docs" / "scenario-format.md").read_text()
    found = text.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0]
    assert found == table


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: str(file.stem))
def test_every_shipped_scenario_fits_the_schema(file: Path) -> None:
    data = load_documents(file.read_text(), file.name)[0].data
    assert fits(data)
    assert parses(data)


STEPS: list[tuple[Any, bool]] = [
    ({"advance": "1m30s"}, True),
    ({"advance": "1.5h"}, True),
    ({"advance": 5}, False),
    ({"advance": "5"}, False),
    ({"advance": "1s", "name": "wait"}, True),
    ({"advance": "1s", "name": ""}, False),
    ({"name": "nothing"}, False),
    ({"advance": "1s", "probe": {"to": "service/a/b"}}, False),
    ({"probe": {"to": "service/a/b", "from": "node/worker-1", "port": 80}}, True),
    ({"probe": {"to": "service/a"}}, False),
    ({"probe": {"to": "service/a/b", "port": 0}}, False),
    ({"parallel": [{"advance": "1s"}, {"parallel": [{"advance": "2s"}]}]}, True),
    ({"parallel": []}, False),
    ({"parallel": [{"advanc": "1s"}]}, False),
    ({"inject": {"kill-actor": "store-leader", "as": "old"}}, True),
    ({"inject": {"kill-host": "UPPER"}}, False),
    ({"inject": {"kill-host": "a", "pause-host": "b"}}, False),
    ({"inject": {"kill-host": "a", "for": "10s"}}, True),
    ({"inject": {"kill-host": "a", "for": 10}}, False),
    ({"inject": {"kill-host": {"host": "a"}}}, True),
    ({"inject": {"kill-host": {}}}, False),
    ({"inject": {"partition": {"a": ["a", "b"], "oneWay": True}}}, True),
    ({"inject": {"partition": "a"}}, True),
    ({"inject": {"partition": {"a": []}}}, False),
    ({"inject": {"degrade": {"hosts": ["a", "b"], "loss": 0.5, "delay": "10ms"}}}, True),
    ({"inject": {"degrade": {"hosts": ["a", "b"], "loss": 1.5}}}, False),
    ({"inject": {"clock-step": {"host": "a", "step": "-5m"}}}, True),
    ({"inject": {"disk-latency": {"host": "a", "slow": "-5m"}}}, False),
    ({"inject": {"kill-leader": {}}}, True),
    ({"inject": {"no-such": "a"}}, False),
    ({"heal": "all"}, True),
    ({"heal": "$old"}, True),
    ({"heal": ["$old", "$older"]}, True),
    ({"heal": []}, False),
    ({"heal": {}}, False),
    ({"heal": "old"}, False),
    ({"scale": {"name": "web", "replicas": 3}}, True),
    ({"scale": {"name": "web", "replicas": -1}}, False),
    ({"scale": {"name": "web"}}, False),
    ({"replace": {"saved": "x", "set": {"a": 1}, "fails": 409}}, True),
    ({"replace": {"saved": "x", "set": {"a": 1}, "fails": {"code": 409}}}, True),
    ({"replace": {"saved": "x", "set": {"a": 1}, "fails": 200}}, False),
    ({"replace": {"saved": "x", "set": {}}}, False),
    ({"delete": {"resource": "pods", "name": "x", "propagation": "Orphan"}}, True),
    ({"delete": {"resource": "pods", "name": "x", "propagation": "orphan"}}, False),
    ({"expect": {"that": [{"available": {}}], "within": "10s", "stays": "5s"}}, True),
    ({"expect": {"that": [{"not": {"not": {"writable": {}}}}]}}, True),
    ({"expect": {"that": [{"not": {}}]}}, False),
    ({"expect": {"that": []}}, False),
    ({"expect": {"that": [{"event": {"reason": "X", "object": "Pod/a-*"}}]}}, True),
    ({"expect": {"that": [{"event": {"reason": "X", "object": "Pod"}}]}}, False),
    ({"apply": {"objects": [{}]}}, False),
    (None, False),
    ([], False),
]


@pytest.mark.parametrize(("step", "good"), STEPS)
def test_schema_and_parser_agree_on_a_step(step: Any, good: bool) -> None:
    data = BASE | {"steps": [step]}
    assert parses(data) is good
    assert fits(data) is good


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"apiVersion": "k8sactors/v2"}, False),
        ({"name": "Not Good"}, False),
        ({"covers": ["AP-09", "X-01"]}, False),
        ({"covers": ["AP-09"]}, True),
        ({"seed": -1}, False),
        ({"seed": True}, False),
        ({"cluster": {"topology": "ring"}}, False),
        ({"cluster": {"topology": "external", "zones": 3, "latency": "1ms"}}, True),
        ({"cluster": []}, False),
        ({"steps": []}, False),
        ({"more": 1}, False),
    ],
)
def test_schema_and_parser_agree_on_the_rest(change: dict[str, Any], good: bool) -> None:
    assert parses(BASE | change) is good
    assert fits(BASE | change) is good
