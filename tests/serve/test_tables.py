"""Tables and metadata over HTTP: what `kubectl get` reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.test_serve import CONFIG_MAPS, Api, serving

KUBECTL = shutil.which("kubectl")
GROUP = "v=v1;g=meta.k8s.io"
AS_TABLE = f"application/json;as=Table;{GROUP}"
AS_METADATA = f"application/json;as=PartialObjectMetadata;{GROUP}"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as served:
        yield served


def get(api: Api, path: str, accept: str) -> tuple[int, Any]:
    connection = api.connect()
    try:
        connection.request("GET", path, headers={"accept": accept})
        response = connection.getresponse()
        lines = [json.loads(line) for line in response.read().splitlines()]
        return response.status, lines if "watch=" in path else lines[0]
    finally:
        connection.close()


def config_map(api: Api, name: str) -> str:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}
    answer = api.ask("POST", CONFIG_MAPS, body)
    assert answer.code == 201
    return str(answer.body["metadata"]["resourceVersion"])


def test_a_watch_sends_the_columns_with_its_first_event_only(api: Api) -> None:
    version = config_map(api, "watched-first")
    config_map(api, "watched-second")
    query = f"watch=1&resourceVersion={int(version) - 1}&timeoutSeconds=1"
    query += "&fieldSelector=metadata.name!=kube-root-ca.crt"
    code, events = get(api, f"{CONFIG_MAPS}?{query}", AS_TABLE)
    assert code == 200
    assert [event["type"] for event in events] == ["ADDED", "ADDED"]
    tables = [event["object"] for event in events]
    assert [table["rows"][0]["cells"][0] for table in tables] == ["watched-first", "watched-second"]
    assert [each["name"] for each in tables[0]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert tables[1]["columnDefinitions"] is None
    _, events = get(api, f"{CONFIG_MAPS}?{query}", AS_METADATA)
    assert [event["object"]["kind"] for event in events] == ["PartialObjectMetadata"] * 2
    assert "data" not in events[0]["object"]


def test_a_table_carries_the_position_in_a_list(api: Api) -> None:
    config_map(api, "paged-first")
    config_map(api, "paged-second")
    code, table = get(api, f"{CONFIG_MAPS}?limit=1", AS_TABLE)
    assert code == 200
    assert len(table["rows"]) == 1
    assert table["metadata"]["continue"]
    assert table["metadata"]["remainingItemCount"] >= 1
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = get(api, f"{CONFIG_MAPS}?limit=1&includeObject=Object", AS_TABLE)[1]
    assert whole["rows"][0]["object"]["kind"] == "ConfigMap"
    code, refused = get(api, f"{CONFIG_MAPS}?includeObject=Half", AS_TABLE)
    assert (code, refused["reason"]) == (400, "BadRequest")
    # Only a table has rows.
    assert get(api, f"{CONFIG_MAPS}?limit=1&includeObject=Half", "application/json")[0] == 200


def test_a_refusal_is_never_a_table(api: Api) -> None:
    code, refused = get(api, f"{CONFIG_MAPS}/absent", AS_TABLE)
    assert (code, refused["kind"], refused["reason"]) == (404, "Status", "NotFound")
    code, refused = get(api, CONFIG_MAPS, AS_METADATA)
    text = "you requested PartialObjectMetadata, but the requested object is a list"
    assert (code, refused["message"]) == (406, f"{text} (*core.ConfigMapList)")


def test_a_subresource_of_another_kind_has_the_columns_that_all_objects_have(api: Api) -> None:
    body = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "scaled"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    }
    path = "/apis/apps/v1/namespaces/default/replicasets"
    assert api.ask("POST", path, body).code == 201
    status = get(api, f"{path}/scaled/status", AS_TABLE)[1]
    assert "Desired" in {each["name"] for each in status["columnDefinitions"]}
    scale = get(api, f"{path}/scaled/scale", AS_TABLE)[1]
    assert [each["name"] for each in scale["columnDefinitions"]] == ["Name", "Created At"]


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_kubectl_prints_the_servers_columns(api: Api, tmp_path: Path) -> None:
    def kubectl(*words: str) -> list[list[str]]:
        config = tmp_path / "empty"
        config.touch()
        command = [str(KUBECTL), "--kubeconfig", str(config), "--server", api.url, *words]
        # It keeps what it has discovered in its home.
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        assert ran.returncode == 0, ran.stderr
        return [line.split() for line in ran.stdout.splitlines()]

    config_map(api, "shown")
    assert kubectl("get", "configmap", "shown")[0] == ["NAME", "DATA", "AGE"]
    assert kubectl("get", "configmap", "shown", "--no-headers")[0][:2] == ["shown", "1"]
    head, *nodes = kubectl("get", "nodes")
    assert head == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert {node[1] for node in nodes} == {"Ready"}
    head = kubectl("get", "services", "-A")[0]
    assert head[:3] == ["NAMESPACE", "NAME", "TYPE"]
