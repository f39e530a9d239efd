"""API clients that change things through a chaos campaign, as users do on a bad day.

They scale, label and delete, create ConfigMaps and drop them, and bump a counter with retries on
conflict. Errors are expected and change nothing here: the checks look at what the cluster made of
it. The counter is a check of its own: increments that were acknowledged must all be there.
"""

from __future__ import annotations

import trio

from k8sactors.actors import Actor
from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo
from k8sactors.checkers.findings import Finding
from k8sactors.client import Client, is_already_exists, is_not_found, retry_on_conflict
from k8sactors.simulation import MILLISECOND, SECOND

NAMESPACE = "default"
COUNTER = "chaos-counter"
MOST_REPLICAS = 5
THINK_FROM_NS, THINK_TO_NS = 200 * MILLISECOND, 2500 * MILLISECOND


class APILoad(Actor):
    """One user of the cluster."""

    def __init__(self, name: str, servers: list[str]) -> None:
        self._name = name
        self._servers = servers
        self._created = 0
        self.running = True
        self.finished = False
        self.increments = 0
        self.uncertain_increments = 0

    async def main(self) -> None:
        """Do something, think, do something else."""
        random = self.ctx.random
        client = Client(self.ctx, self._servers, UserInfo(f"chaos:{self._name}"))
        actions = (self._scale, self._delete_pod, self._config_map, self._count, self._count)
        while self.running:
            try:
                await random.choice(actions)(client)
            except StatusError as error:
                self.ctx.log.debug("refused", error=str(error))
            await trio.sleep(random.randrange(THINK_FROM_NS, THINK_TO_NS) / SECOND)
        self.finished = True

    async def _scale(self, client: Client) -> None:
        deployments = (await client.list("deployments.apps", NAMESPACE))["items"]
        if deployments:
            name = self.ctx.random.choice(deployments)["metadata"]["name"]
            replicas = self.ctx.random.randint(1, MOST_REPLICAS)
            patch = {"spec": {"replicas": replicas}}
            await client.patch("deployments.apps", name, patch, NAMESPACE)

    async def _delete_pod(self, client: Client) -> None:
        pods = (await client.list("pods", NAMESPACE))["items"]
        if pods:
            name = self.ctx.random.choice(pods)["metadata"]["name"]
            await client.delete("pods", name, NAMESPACE)

    async def _config_map(self, client: Client) -> None:
        self._created += 1
        name = f"{self._name}-{self._created}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}}
        await client.create("configmaps", body, NAMESPACE)
        await client.delete("configmaps", name, NAMESPACE)

    async def _count(self, client: Client) -> None:
        async def increment() -> None:
            counter = await client.get("configmaps", COUNTER, NAMESPACE)
            count = int(counter["data"]["count"]) + 1
            await client.update("configmaps", {**counter, "data": {"count": str(count)}})

        self.uncertain_increments += 1
        try:
            await retry_on_conflict(client, increment)
        except StatusError as error:
            if is_not_found(error):
                self.uncertain_increments -= 1
            raise
        self.uncertain_increments -= 1
        self.increments += 1


async def create_counter(client: Client) -> None:
    """The counter that all loads bump."""
    metadata = {"name": COUNTER, "namespace": NAMESPACE}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"count": "0"}}
    try:
        await client.create("configmaps", body, NAMESPACE)
    except StatusError as error:
        if not is_already_exists(error):
            raise


async def check_counter(client: Client, loads: list[APILoad], now_ns: int) -> list[Finding]:
    """No acknowledged increment is lost, none happened that no user asked for."""
    counter = await client.get("configmaps", COUNTER, NAMESPACE)
    count = int(counter["data"]["count"])
    fewest = sum(load.increments for load in loads)
    most = fewest + sum(load.uncertain_increments for load in loads)
    if fewest <= count <= most:
        return []
    message = f"the counter stands at {count}; {fewest} increments were acknowledged, {most} sent"
    return [Finding("counter", message, now_ns)]
