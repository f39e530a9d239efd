"""Which versions of API groups clients are served: `--runtime-config`."""

from __future__ import annotations

import json

import attrs
import pytest
from click.testing import CliRunner

from k8sactors.cli.serve import serve
from k8sactors.cluster import ClusterSpec
from k8sactors.testing.cluster import ONE_NODE, K8sCluster, run_with
from raftstore.http import Head
from tests.http.in_memory import Answer

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: first}
"""


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ("api/all=false", "invalid key with only api/all=false"),
        ("api/ga=maybe", "invalid value api/ga=maybe"),
        ("v1=true", "runtime-config invalid key v1"),
        ("api/v1=true,nothing.io/v1=true", "unknown api groups api,nothing.io"),
        ("apps/v9=true", "group version apps/v9 that has not been registered"),
        ("apps/v1=x", 'invalid value of apps/v1: x, err: strconv.ParseBool: parsing "x"'),
        ("api/all=false,apps/v1=false", "runtime-config leaves no resource that is served"),
    ],
)
def test_serve_refuses_wrong_settings(value: str, refusal: str) -> None:
    result = CliRunner().invoke(serve, ["--runtime-config", value])
    assert result.exit_code == 2
    assert refusal in " ".join(result.output.split())


def test_a_precise_key_wins_over_a_wide_one() -> None:
    spec = ClusterSpec(runtime_config={"api/all": "false", "/v1": "true", "apps/v1": ""})
    assert spec.problems() == []


def test_what_is_turned_off_is_gone_for_clients() -> None:
    config = {"batch/v1": "false", "autoscaling/v2": "false", "apps/v1/daemonsets": "false"}
    cluster = K8sCluster(attrs.evolve(ONE_NODE, runtime_config=config))
    codes: dict[str, int] = {}
    bodies: dict[str, str] = {}

    async def main() -> None:
        await cluster.apply(WIDGETS)
        front = cluster.front()
        for path in (
            "/apis",
            "/openapi/v2",
            "/apis/batch/v1",
            "/apis/batch/v1/jobs",
            "/apis/autoscaling/v2",
            "/apis/autoscaling/v1/horizontalpodautoscalers",
            "/apis/apps/v1",
            "/apis/apps/v1/daemonsets",
            "/apis/apps/v1/deployments",
            "/apis/example.com/v1/namespaces/default/widgets/first",
        ):
            head = Head("GET", path, ((b"accept", b"application/json"),), "1.1")
            answer = Answer(front, head)
            await answer.run(b"")
            codes[path], bodies[path] = answer.status, answer.body.decode()

    run_with(cluster, main)
    assert {path for path, code in codes.items() if code != 200} == {
        "/apis/batch/v1",
        "/apis/batch/v1/jobs",
        "/apis/autoscaling/v2",
        "/apis/apps/v1/daemonsets",
    }
    assert {codes[path] for path in codes if path.startswith("/apis/batch")} == {404}
    groups = {each["name"]: each for each in json.loads(bodies["/apis"])["groups"]}
    assert "batch" not in groups
    assert groups["autoscaling"]["preferredVersion"]["version"] == "v1"
    described = json.loads(bodies["/openapi/v2"])["paths"]
    assert not [path for path in described if path.startswith("/apis/batch")]
    assert "daemonsets" not in bodies["/apis/apps/v1"]
