"""Printer columns: as a real API server prints objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k8sactors.api.columns import human_duration
from k8sactors.api.scheme import builtin
from k8sactors.gateway.paths import parse_options, parse_target
from k8sactors.simulation import SECOND

RECORDED = (
    Path(__file__).parents[2].resolve().parent
    / "shared"
    / "golden"
    / "api"
    / "transcripts"
    / "table.json"
)
# They need what other parts of the server do: other media types, or a namespace of their own.
OTHER = ("object-", "table-", "metadata-", "create-table", "single-object", "empty-table")


def cases() -> list[Any]:
    if not RECORDED.exists():
        return []
    found = json.loads(RECORDED.read_text("utf-8"))["cases"]
    return [
        pytest.param(case, id=case["name"])
        for case in found
        if not case["name"].startswith(OTHER) and case["name"] != "namespace-terminating"
    ]


def current(value: Any) -> Any:
    text = json.dumps(value)
    for token, name in (("$ns", "default"), ("$run", "r"), ("$policy", "v1")):
        text = text.replace(token, name)
    return json.loads(text)


_VERBS = {"POST": "create", "PUT": "update", "DELETE": "delete", "GET": "list"}


@pytest.mark.parametrize("case", cases())
def test_rows_are_those_of_the_real_server(world: Any, case: dict[str, Any]) -> None:
    scheme = builtin()
    compared = 0
    for step in current(case["steps"]):
        request, response = step["request"], step["response"]
        path, _, query = request["path"].partition("?")
        media_type = request.get("headers", {}).get("Content-Type", "")
        target = parse_target(scheme, path)
        options = parse_options(query)
        if "strategic" in media_type:
            options["patchType"] = "strategic"
        verb = "patch" if request["method"] == "PATCH" else _VERBS[request["method"]]
        if verb == "list" and target.name:
            verb = "get"
        answer = world.do(
            verb,
            target.info.name,
            target.namespace or None,
            target.name or None,
            subresource=target.subresource or None,
            body=request.get("body"),
            **options,
        )
        table = response.get("body")
        if not isinstance(table, dict) or "rows" not in table:
            assert answer.code == response["code"]
            continue
        # Columns are told from the form in which objects are stored.
        stored = scheme.resource(target.info.storage_name)
        items = world.do("list", stored.name, target.namespace or None, **options).items
        columns = {column.name: column for column in stored.record.columns}
        if table.get("order"):
            assert list(columns) == table["order"]
        for name, expected in table.get("columns", {}).items():
            column = columns[name]
            assert (column.type, column.format, column.priority) == (
                expected["type"],
                expected["format"],
                expected["priority"],
            )
        for item, row in zip(items, table.get("rows", []), strict=True):
            for name, expected in row["cells"].items():
                cell = columns[name].tell(item, world.clock.now + 2 * SECOND)
                if expected != "<age>":
                    assert cell == expected, name
                compared += 1
    assert compared


def test_every_kind_prints_an_object_that_says_nothing() -> None:
    for info in builtin().stored():
        bare = {"apiVersion": info.api_version, "kind": info.kind, "metadata": {"name": "a"}}
        cells = {column.name: column.tell(bare, 0) for column in info.record.columns}
        assert cells["Name"] == "a", info.kind


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (3_600, "60m"),
        (11_000, "3h3m"),
        (30_000, "8h"),
        (200_000, "2d7h"),
        (90 * 86_400, "90d"),
        (800 * 86_400, "2y70d"),
        (9 * 365 * 86_400, "9y"),
    ],
)
def test_ages_read_as_kubectl_shows_them(seconds: int, text: str) -> None:
    assert human_duration(seconds * SECOND) == text


def container(name: str, **state: Any) -> dict[str, Any]:
    return {"name": name, "ready": "running" in state, "restartCount": 0, "state": state}


@pytest.mark.parametrize(
    ("status", "metadata", "ready", "shown"),
    [
        ({"phase": "Pending"}, {}, "0/1", "Pending"),
        ({"containerStatuses": [container("c", running={})]}, {}, "1/1", "Running"),
        (
            {"containerStatuses": [container("c", waiting={"reason": "CrashLoopBackOff"})]},
            {},
            "0/1",
            "CrashLoopBackOff",
        ),
        (
            {"containerStatuses": [container("c", terminated={"exitCode": 3})]},
            {},
            "0/1",
            "ExitCode:3",
        ),
        (
            {"initContainerStatuses": [container("i", terminated={"exitCode": 1, "signal": 9})]},
            {},
            "0/1",
            "Init:Signal:9",
        ),
        ({"initContainerStatuses": [container("i", running={})]}, {}, "0/1", "Init:0/1"),
        ({}, {"deletionTimestamp": "2025-01-01T00:00:00Z"}, "0/1", "Terminating"),
        (
            {"conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            {},
            "0/1",
            "SchedulingGated",
        ),
    ],
)
def test_a_pod_shows_what_its_containers_do(
    status: Any, metadata: Any, ready: str, shown: str
) -> None:
    columns = {column.name: column for column in builtin().resource("pods").record.columns}
    pod = {
        "metadata": {"name": "p", **metadata},
        "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
        "status": {"phase": "Running", **status},
    }
    assert columns["Ready"].tell(pod, 0) == ready
    assert columns["Status"].tell(pod, 0) == shown
