"""Measures, in virtual time, when the control plane could not be used.

Two small loops run next to the scenario. One writes a counter into a ConfigMap: between two
acknowledged writes further apart than the threshold, *writes* were unavailable. The other changes
an empty Deployment and waits until its controller has seen the change: the same for
*reconciliation*. At the end the counter must be at least the last one acknowledged.
"""

from __future__ import annotations

from typing import Any

import attrs
import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster
from k8sactors.scenario.names import METER_NAMESPACE
from k8sactors.scenario.result import Outage
from k8sactors.simulation import SECOND

PERIOD_S = 0.5
REQUEST_LIMIT_NS = 2 * SECOND
WRITES_THRESHOLD_NS = 2 * SECOND
RECONCILIATION_THRESHOLD_NS = 3 * SECOND
SETUP_LIMIT_S = 30.0

_OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": METER_NAMESPACE}},
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "writes", "namespace": METER_NAMESPACE},
        "data": {"counter": "0"},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "reconciliation", "namespace": METER_NAMESPACE},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "meter"}},
            "template": {
                "metadata": {"labels": {"app": "meter"}},
                "spec": {"containers": [{"name": "none", "image": "pause"}]},
            },
        },
    },
]


@attrs.define
class Meter:
    """The two loops, and what they have seen."""

    cluster: Cluster
    outages: list[Outage] = attrs.field(factory=list)
    acknowledged: int = 0
    counter: int = 0
    last_write_ns: int = 0
    last_reconciliation_ns: int = 0

    async def set_up(self) -> None:
        """Create what the loops use."""
        with trio.fail_after(SETUP_LIMIT_S):
            await self.cluster.apply(_OBJECTS)
        self.last_write_ns = self.last_reconciliation_ns = simulation.current().now_ns()

    async def write_forever(self) -> None:
        """Write the counter again and again."""
        while True:
            self.counter += 1
            body = {"data": {"counter": str(self.counter)}}
            if await self._patch("configmaps", "writes", body) is not None:
                self.acknowledged = self.counter
                self.last_write_ns = self._success(
                    "writes", self.last_write_ns, WRITES_THRESHOLD_NS
                )
            await trio.sleep(PERIOD_S)

    async def reconcile_forever(self) -> None:
        """Change the Deployment again and again, and wait for its controller."""
        limit = 1
        while True:
            limit = 3 - limit
            changed = await self._patch(
                "deployments.apps", "reconciliation", {"spec": {"revisionHistoryLimit": limit}}
            )
            if changed is not None and await self._seen(changed["metadata"]["generation"]):
                self.last_reconciliation_ns = self._success(
                    "reconciliation", self.last_reconciliation_ns, RECONCILIATION_THRESHOLD_NS
                )
            await trio.sleep(PERIOD_S)

    async def lost_writes(self) -> int:
        """Whether the last acknowledged write is gone: 1 or 0."""
        found = await self.cluster.client.request(
            "get", "configmaps", namespace=METER_NAMESPACE, name="writes"
        )
        return int(int(found["data"]["counter"]) < self.acknowledged)

    def close(self, now_ns: int) -> None:
        """An outage that still lasts at the end is one as well."""
        for service, since_ns, threshold_ns in (
            ("writes", self.last_write_ns, WRITES_THRESHOLD_NS),
            ("reconciliation", self.last_reconciliation_ns, RECONCILIATION_THRESHOLD_NS),
        ):
            if now_ns - since_ns > threshold_ns:
                self.outages.append(Outage(service, since_ns, now_ns))

    async def _patch(self, resource: str, name: str, body: dict[str, Any]) -> Any:
        try:
            return await self.cluster.client.request(
                "patch",
                resource,
                namespace=METER_NAMESPACE,
                name=name,
                body=body,
                options={"patchType": "merge"},
                timeout_ns=REQUEST_LIMIT_NS,
            )
        except StatusError:
            return None

    async def _seen(self, generation: int) -> bool:
        """Whether the controller sees the change soon; if not, the loop starts over."""
        for _ in range(20):
            await trio.sleep(PERIOD_S / 5)
            try:
                found = await self.cluster.client.request(
                    "get",
                    "deployments.apps",
                    namespace=METER_NAMESPACE,
                    name="reconciliation",
                    timeout_ns=REQUEST_LIMIT_NS,
                )
            except StatusError:
                return False
            if found.get("status", {}).get("observedGeneration", 0) >= generation:
                return True
        return False

    def _success(self, service: str, last_ns: int, threshold_ns: int) -> int:
        now_ns = simulation.current().now_ns()
        if now_ns - last_ns > threshold_ns:
            self.outages.append(Outage(service, last_ns, now_ns))
        return now_ns
