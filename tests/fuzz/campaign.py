"""Asks a cluster what the generator draws, and judges each answer.

    python -m tests.fuzz.campaign --requests 20000 --seed 1

A refusal is a documented 4xx with a Status as its body; nothing answers with 5xx, nothing takes
more than a minute of the cluster's time, and no object is lost: neither one that no request has
named, nor one whose creation was acknowledged in the request before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import Any

import attrs
import trio

from k8sactors.gateway.openapi.documents import version_2
from k8sactors.testing.cluster import ONE_NODE, K8sCluster, run_with
from raftstore.http import Head
from tests.fuzz.generator import KEPT, FuzzRequest, Generator
from tests.http.in_memory import Answer

# What the API conventions document for refusals.
REFUSALS = frozenset({400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 429})
TIMEOUT = 504
SUCCESSES = frozenset({200, 201, 202, 304})
LIMIT_S = 60.0
KEPT_OBJECTS = 20


@attrs.define
class Outcome:
    """What a campaign has found."""

    codes: Counter[int] = attrs.field(factory=Counter)
    findings: list[str] = attrs.field(factory=list)


class Campaign:
    """One cluster under fuzz."""

    def __init__(self, cluster: K8sCluster, seed: int) -> None:
        self.outcome = Outcome()
        self._cluster = cluster
        self._front = cluster.front()
        self._generator = Generator(version_2(cluster.scheme), seed)
        self._kept: list[dict[str, Any]] = []

    async def run(self, requests: int) -> None:
        """Ask so many times."""
        await self._keep()
        for number in range(requests):
            request = self._generator.request()
            answer = await self._ask(request)
            reason = "no answer within a minute" if answer is None else _judge(answer)
            if reason is None and answer is not None:
                self.outcome.codes[answer.status] += 1
                if answer.status == 201 and "dryRun" not in request.query:
                    reason = await self._made(request, answer)
            if reason is not None:
                self.outcome.findings.append(f"#{number} {reason}\n{request}")
            crashes = self._cluster.network.crashes
            if crashes:
                text = "; ".join(f"{crash.actor}: {crash.cause}" for crash in crashes)
                self.outcome.findings.append(f"#{number} crashed: {text}\n{request}")
                crashes.clear()
                await trio.sleep(5)
        await self._check_kept()

    async def _keep(self) -> None:
        client = self._cluster.client
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KEPT}}
        await client.create("namespaces", namespace)
        for number in range(KEPT_OBJECTS):
            metadata = {"name": f"kept-{number}"}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            self._kept.append(await client.create("configmaps", body, KEPT))

    async def _check_kept(self) -> None:
        found = (await self._cluster.client.list("configmaps", KEPT))["items"]
        by_name = {item["metadata"]["name"]: item for item in found}
        for kept in self._kept:
            name = kept["metadata"]["name"]
            uid = by_name.get(name, {}).get("metadata", {}).get("uid")
            if uid != kept["metadata"]["uid"]:
                self.outcome.findings.append(f"lost: {KEPT}/{name}")

    async def _ask(self, request: FuzzRequest) -> Answer | None:
        """The answer; of a watch, its head. None: none came."""
        headers = [
            (name.encode(), value.encode("latin-1")) for name, value in request.headers.items()
        ]
        target = request.path + (f"?{request.query}" if request.query else "")
        answer = Answer(self._front, Head(request.method, target, tuple(headers), "1.1"))
        with trio.move_on_after(LIMIT_S) as scope:
            await answer.run(request.body)
        return None if scope.cancelled_caught and not answer.status else answer

    async def _made(self, request: FuzzRequest, answer: Answer) -> str | None:
        """Whether what was acknowledged is there."""
        if "json" not in request.headers.get("accept", "json") or "as=" in str(request.headers):
            return None
        try:
            metadata = json.loads(answer.body)["metadata"]
        except (ValueError, KeyError, TypeError):
            return None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if not name or not metadata.get("uid"):
            return None
        # A PUT that creates has the name in its path.
        path = request.path.rstrip("/")
        collection = path.rpartition("/")[0] if request.method == "PUT" else path
        read = await self._ask(FuzzRequest("GET", f"{collection}/{name}", "", {}, b""))
        if read is None or read.status not in {200, 405}:
            return f"lost: {name} was created, and reads {read and read.status}"
        self._generator.made.setdefault(collection, []).append(name)
        return None


def _judge(answer: Answer) -> str | None:
    """What is wrong with an answer, None: nothing."""
    status = answer.status
    if status in SUCCESSES:
        return None
    if status == TIMEOUT and b"ResourceVersionTooLarge" in answer.body:
        # What the real server answers to a revision that is not reached in time.
        return None
    if status not in REFUSALS:
        return f"answers {status}: {answer.body[:300]!r}"
    kind = answer.headers.get(b"content-type", b"")
    if b"json" not in kind:
        return None if kind else f"{status} without a content type"
    try:
        body = json.loads(answer.body)
    except ValueError:
        return f"{status} with a body that is no JSON: {answer.body[:200]!r}"
    if body.get("kind") != "Status" or body.get("code") != status or not body.get("message"):
        return f"{status} whose body is no Status: {answer.body[:200]!r}"
    return None


def fuzz(requests: int, seed: int) -> Outcome:
    """Run a campaign in a cluster of its own."""
    cluster = K8sCluster(ONE_NODE)
    campaigns: list[Campaign] = []

    async def main() -> None:
        campaigns.append(Campaign(cluster, seed))
        await campaigns[0].run(requests)

    run_with(cluster, main, seed=seed)
    return campaigns[0].outcome


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    outcome = fuzz(arguments.requests, arguments.seed)
    codes = dict(sorted(outcome.codes.items()))
    lines = [f"{arguments.requests} requests, seed {arguments.seed}: {codes}", *outcome.findings]
    sys.stdout.write("\n".join([*lines, f"{len(outcome.findings)} findings", ""]))
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
