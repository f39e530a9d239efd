"""A user whose pod has a fixed name, as a StatefulSet's has: it may exist once only.

It is created, runs for a while, is deleted, and is created again as soon as it is gone, over and
over. A node that then still runs the old one breaks the promise that a name stands for one pod.
"""

from __future__ import annotations

from typing import Any

import trio

from k8sactors.actors import Actor
from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, is_already_exists, is_not_found
from k8sactors.simulation import MILLISECOND, SECOND

NAMESPACE = "default"
RUNS_FROM_NS, RUNS_TO_NS = 500 * MILLISECOND, 4 * SECOND
POLL_S = 0.2
GRACE_SECONDS = 1


class PodCycle(Actor):
    """The user of one pod."""

    def __init__(self, name: str, servers: list[str]) -> None:
        self._name = name
        self._servers = servers
        self.running = True

    async def main(self) -> None:
        """Create, wait, delete, wait until it is gone."""
        client = Client(self.ctx, self._servers, UserInfo(f"chaos:{self._name}"))
        while self.running:
            try:
                await self._cycle(client)
            except StatusError as error:
                self.ctx.log.debug("refused", error=str(error))
                await trio.sleep(POLL_S)

    async def _cycle(self, client: Client) -> None:
        try:
            await client.create("pods", _pod(self._name), NAMESPACE)
        except StatusError as error:
            if not is_already_exists(error):
                raise
        await trio.sleep(self.ctx.random.randrange(RUNS_FROM_NS, RUNS_TO_NS) / SECOND)
        await client.delete("pods", self._name, NAMESPACE, gracePeriodSeconds=GRACE_SECONDS)
        gone = False
        while not gone:
            gone = await self._is_gone(client)

    async def _is_gone(self, client: Client) -> bool:
        """A consistent read: only the store knows that something is gone."""
        await trio.sleep(POLL_S)
        try:
            await client.get("pods", self._name, NAMESPACE)
        except StatusError as error:
            if is_not_found(error):
                return True
            raise
        return False


def _pod(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": "nginx:1.27"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": GRACE_SECONDS},
    }
