from __future__ import annotations

from typing import Any

import pytest

from tests.fuzz.campaign import fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_arbitrary_requests_are_served_or_refused_as_documented(seed: int) -> None:
    outcome = fuzz(300, seed)
    assert outcome.findings == []
    assert outcome.codes[201] > 0, "some reach the store"
    assert outcome.codes.keys() >= {200, 400, 404, 422}


@pytest.mark.parametrize(
    "number",
    ["9223372036854775808", "9" * 400, "-9223372036854775809"],
    ids=["most", "long", "least"],
)
async def test_a_number_beyond_64_bits_is_refused(k8s_transport: Any, number: str) -> None:
    httpx = pytest.importorskip("httpx")
    async with httpx.AsyncClient(transport=k8s_transport, base_url=k8s_transport.base_url) as http:
        answer = await http.get("/api/v1/pods", params={"timeoutSeconds": number})
        assert answer.status_code == 400
        assert "value out of range" in answer.json()["message"]
        headers = {"content-type": "application/yaml"}
        body = f"metadata: {{name: a}}\nimmutable: {number}\n"
        path = "/api/v1/namespaces/default/configmaps"
        answer = await http.post(path, content=body, headers=headers)
        assert answer.status_code == 400


@pytest.mark.parametrize("text", ["yesterday", "2025-02-31T00:00:00Z", "0000-01-01T00:00:00Z", ""])
async def test_what_is_no_time_is_refused(k8s_transport: Any, text: str) -> None:
    httpx = pytest.importorskip("httpx")
    lease = {"metadata": {"name": "a"}, "spec": {"renewTime": text}}
    async with httpx.AsyncClient(transport=k8s_transport, base_url=k8s_transport.base_url) as http:
        path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        answer = await http.post(path, json=lease)
        assert answer.status_code == 400
        assert "parsing time" in answer.json()["message"]
        lease["spec"]["renewTime"] = "2025-01-01T00:00:00.123456+01:00"
        assert (await http.post(path, json=lease)).status_code == 201


async def test_what_a_controller_could_not_read_is_refused(k8s_transport: Any) -> None:
    httpx = pytest.importorskip("httpx")
    node = {"metadata": {"name": "a"}, "spec": {"podCIDR": "a/b"}}
    selector = {"matchExpressions": [{"key": "a", "operator": "-"}]}
    role = {"metadata": {"name": "a"}, "aggregationRule": {"clusterRoleSelectors": [selector]}}
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    async with httpx.AsyncClient(transport=k8s_transport, base_url=k8s_transport.base_url) as http:
        answer = await http.post("/api/v1/nodes", json=node)
        assert answer.status_code == 422
        assert answer.json()["details"]["causes"][0]["field"] == "spec.podCIDRs[0]"
        answer = await http.post(roles, json=role)
        assert answer.status_code == 422
        field = answer.json()["details"]["causes"][0]["field"]
        assert field.startswith("aggregationRule.clusterRoleSelectors[0]")


_QUEUE = {"type": "Queue", "queuing": {}}
_FEW = {"type": "Queue", "queuing": {"queues": 2, "handSize": 3}}
_FLOWS = "/apis/flowcontrol.apiserver.k8s.io/v1"


_REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("prioritylevelconfigurations", {"type": "x"}, "spec.type"),
    ("prioritylevelconfigurations", {"type": "Limited"}, "spec.limited"),
    (
        "prioritylevelconfigurations",
        {"type": "Limited", "limited": {"limitResponse": {"type": "Queue"}}},
        "spec.limited.limitResponse.queuing",
    ),
    (
        "prioritylevelconfigurations",
        {"type": "Limited", "limited": {"limitResponse": _FEW}},
        "spec.limited.limitResponse.queuing.handSize",
    ),
    (
        "flowschemas",
        {"priorityLevelConfiguration": {"name": "a"}, "matchingPrecedence": 20_000},
        "spec.matchingPrecedence",
    ),
    (
        "flowschemas",
        {
            "priorityLevelConfiguration": {"name": "a"},
            "rules": [{"subjects": [{"kind": "User"}], "nonResourceRules": []}],
        },
        "spec.rules[0].subjects[0].user",
    ),
)


async def test_rules_for_requests_that_the_server_cannot_follow_are_refused(
    k8s_transport: Any,
) -> None:
    httpx = pytest.importorskip("httpx")
    async with httpx.AsyncClient(transport=k8s_transport, base_url=k8s_transport.base_url) as http:
        for plural, spec, field in _REFUSED:
            body = {"metadata": {"name": "a"}, "spec": spec}
            answer = await http.post(f"{_FLOWS}/{plural}", json=body)
            assert answer.status_code == 422
            assert field in [cause["field"] for cause in answer.json()["details"]["causes"]]
        spec = {"type": "Limited", "limited": {"limitResponse": _QUEUE}}
        body = {"metadata": {"name": "a"}, "spec": spec}
        answer = await http.post(f"{_FLOWS}/prioritylevelconfigurations", json=body)
        assert answer.status_code == 201
        limited = answer.json()["spec"]["limited"]
        assert limited["nominalConcurrencyShares"] == 30
        queuing = limited["limitResponse"]["queuing"]
        assert queuing == {"queues": 64, "handSize": 8, "queueLengthLimit": 50}
