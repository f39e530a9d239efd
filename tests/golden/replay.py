"""Replays a case on a cluster of its own, and puts what happened into normal form."""

from __future__ import annotations

from typing import Any

import trio

from tests.golden.actions import Actions
from tests.golden.case_cluster import default_nodes, open_case_cluster
from tests.golden.recordings import normal_form
from tests.golden.replayed_case import ReplayedCase

Object = dict[str, Any]

# As long as an operator needs for a request: until our watch has seen what the request did.
STEP_S = 0.001


async def replay(case: Object) -> Object:
    """The merged facts of one run of a case, in the form of the recordings."""
    async with open_case_cluster() as cluster:
        facts = await _run(ReplayedCase(case, cluster))
    merged: Object = normal_form().merge(case, [facts])
    # Merging loosens what a single run cannot prove; the comparison wants what was seen.
    ignored = case.get("ignore-events") or []
    merged["events"] = [event for event in facts["events"] if event["reason"] not in ignored]
    merged["timings"] = facts["timings"]
    merged["rows"], merged["lifecycle"] = facts["transitions"], facts["order"]
    return merged


async def _run(case: ReplayedCase) -> Object:
    """All steps; returns the facts of this run in normal form."""
    cluster, observer = case.cluster, case.cluster.observer
    nodes = case.case.get("nodes", "agent")
    await cluster.add_nodes(case.expand(nodes) if isinstance(nodes, list) else default_nodes(nodes))
    observer.sinks.append(case.observe)
    for name in case.namespaces:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await observer.call("create", "Namespace", body=body)
    for name in case.namespaces:
        account = ("ServiceAccount", name, "default")
        await cluster.wait_for(
            lambda account=account: observer.find(*account), 30, "service account"
        )
    actions = Actions(case)
    for number, step in enumerate(case.case["steps"]):
        await actions.do(number, case.expand(step))
        await trio.sleep(STEP_S)
    if not case.case.get("no-final-settle"):
        await case.settle(float(case.case.get("settle", 2)), 60)
    await trio.sleep(0.3)
    form = normal_form()
    facts: Object = form.Normaliser(case, case.live(), observer.now_s()).build()
    return facts
