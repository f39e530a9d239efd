"""TTL controller: how long kubelets may keep Secrets and ConfigMaps, by the size of the cluster.

The annotation `node.alpha.kubernetes.io/ttl` holds seconds. The limits overlap, so that a cluster
at one of them does not rewrite all its nodes with every node that joins or leaves.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from k8sactors.api.errors import StatusError
from k8sactors.client import is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object

ANNOTATION: Final = "node.alpha.kubernetes.io/ttl"
# Nodes below which, and above which, another number of seconds holds.
BOUNDARIES: Final = (
    (0, 100, 0),
    (90, 500, 15),
    (450, 1_000, 30),
    (900, 2_000, 60),
    (1_800, 10_000, 300),
    (9_000, 2**31 - 1, 600),
)
assert all(low[1] >= high[0] for low, high in pairwise(BOUNDARIES))


def step_for(nodes: int, step: int) -> int:
    """The row of the table for so many nodes, coming from another row."""
    while nodes < BOUNDARIES[step][0]:
        step -= 1
    while nodes > BOUNDARIES[step][1]:
        step += 1
    return step


class TTLController(Controller):
    """Reconciles nodes."""

    name = "ttl-controller"
    aliases = ("ttl",)

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._step = 0
        self._count = 0
        self._nodes = self.informer("nodes")
        self._nodes.add_handler(
            on_add=self._node_added, on_update=self._node_updated, on_delete=self._node_deleted
        )

    def _node_added(self, node: Object) -> None:
        self._count += 1
        self._resized()
        self.enqueue(node)

    def _node_updated(self, old: Object, node: Object) -> None:
        if _annotation(old) != _annotation(node):
            self.enqueue(node)

    def _node_deleted(self, _node: Object) -> None:
        self._count -= 1
        self._resized()

    def _resized(self) -> None:
        step = step_for(self._count, self._step)
        if step != self._step:
            self._step = step
            for node in self._nodes.lister.list():
                self.enqueue(node)

    async def reconcile(self, key: str) -> None:
        """Write the annotation of one node, if it is not what it should be."""
        node = self._nodes.lister.get(None, key)
        wanted = str(BOUNDARIES[self._step][2])
        if node is None or _annotation(node) == wanted:
            return
        try:
            await self.client.patch(
                "nodes", key, {"metadata": {"annotations": {ANNOTATION: wanted}}}
            )
        except StatusError as error:
            if not is_not_found(error):
                raise


def _annotation(node: Object) -> str | None:
    return (node["metadata"].get("annotations") or {}).get(ANNOTATION)
