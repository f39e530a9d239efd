from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from k8sactors import simulation

httpx = pytest.importorskip("httpx")


def client(transport: Any) -> Any:
    return httpx.AsyncClient(transport=transport, base_url=transport.base_url)


async def test_a_request_and_its_answer(k8s_transport: Any) -> None:
    async with client(k8s_transport) as http:
        answer = await http.get("/api/v1/namespaces/default")
        assert answer.json()["metadata"]["name"] == "default"
        answer = await http.get("/api/v1/namespaces/missing")
        assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


async def test_a_watch_streams_on_virtual_time(k8s_transport: Any, k8s_cluster: Any) -> None:
    path = "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1100"
    async with trio.open_nursery() as nursery, client(k8s_transport) as http:

        async def later() -> None:
            await trio.sleep(1000)
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}
            await k8s_cluster.client.create("configmaps", body, "default")

        nursery.start_soon(later)
        async with http.stream("GET", path, timeout=None) as answer:
            lines = [line async for line in answer.aiter_lines()]
    seen = [json.loads(line)["object"]["metadata"]["name"] for line in lines]
    assert seen == ["kube-root-ca.crt", "late"]
    assert simulation.current().now_ns() > 1000 * simulation.SECOND


async def test_a_client_s_timeout_is_on_virtual_time(k8s_transport: Any, k8s_cluster: Any) -> None:
    k8s_cluster.slow("get", "namespaces", seconds=30)
    async with client(k8s_transport) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get("/api/v1/namespaces/default", timeout=10)


async def test_a_lost_answer_is_a_broken_connection(k8s_transport: Any, k8s_cluster: Any) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    k8s_cluster.lose_answer("create", "configmaps")
    async with client(k8s_transport) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post("/api/v1/namespaces/default/configmaps", json=body)
        answer = await http.get("/api/v1/namespaces/default/configmaps/a")
        assert answer.status_code == 200


async def test_answers_name_their_flow_schema_and_priority_level(k8s_transport: Any) -> None:
    flows = "/apis/flowcontrol.apiserver.k8s.io/v1"
    names = ("x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid")
    async with client(k8s_transport) as http:
        # The transport is the administrator, who is exempt.
        expected = [
            (await http.get(f"{flows}/{resource}/exempt")).json()["metadata"]["uid"]
            for resource in ("flowschemas", "prioritylevelconfigurations")
        ]
        asked = ["/api/v1/pods", "/api/v1/namespaces/missing", "/metrics"]
        answers = [await http.get(path) for path in asked]
        async with http.stream("GET", "/api/v1/pods?watch=1&timeoutSeconds=1") as answer:
            answers.append(answer)
    for answer in answers:
        assert [answer.headers.get(name) for name in names] == expected, answer.url
