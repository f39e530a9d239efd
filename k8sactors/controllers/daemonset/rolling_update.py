"""Which pods of a DaemonSet go, and which nodes get a second one, to reach the present template.

Pure functions. Without surge an old pod goes first and its replacement follows, as long as no more
than `maxUnavailable` nodes are without an available pod. With surge the new pod comes first, on at
most `maxSurge` nodes at a time, and the old one goes when the new one is available (KEP-1591).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from k8sactors.controllers.daemonset.placement import has_revision
from k8sactors.controllers.machinery.pods import is_available

Object = dict[str, Any]
_PERCENT = 100


def _scaled(value: int | str | None, total: int) -> int:
    """A number or percentage of `total`, rounded up."""
    if isinstance(value, str):
        return -(-int(value.removesuffix("%")) * total // _PERCENT)
    return value or 0


def limits(daemon_set: Object, desired: int) -> tuple[int, int]:
    """`maxSurge` and `maxUnavailable` as numbers of nodes; never both 0."""
    settings = (daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = _scaled(settings.get("maxSurge"), desired)
    unavailable = _scaled(settings.get("maxUnavailable"), desired)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


@attrs.frozen
class Steps:
    """What to do now: pods to delete, and nodes to create a pod for."""

    victims: list[Object]
    nodes: list[str]


@attrs.frozen
class _OnNode:
    new: Object | None
    old: Object | None


@attrs.frozen
class RollingUpdate:
    """The state of one rollout. `pods` has the daemon pods of every node that should have one."""

    daemon_set: Object
    digest: str
    pods: Mapping[str, list[Object]]
    wall_ns: int

    def next_steps(self, max_surge: int, max_unavailable: int) -> Steps:
        """The next deletions or creations within the limits."""
        if max_surge:
            return self._surging(max_surge)
        return Steps(self._replacing(max_unavailable), [])

    def _available(self, pod: Object) -> bool:
        seconds = self.daemon_set["spec"].get("minReadySeconds") or 0
        return is_available(pod, seconds, self.wall_ns)

    def _on_node(self, pods: list[Object]) -> _OnNode | None:
        """The new and the old pod of a node; None when there are two of a sort."""
        found: dict[bool, Object] = {}
        for pod in pods:
            if "deletionTimestamp" in pod["metadata"]:
                continue
            updated = has_revision(pod, self.daemon_set, self.digest)
            if updated in found:
                return None
            found[updated] = pod
        return _OnNode(found.get(True), found.get(False))

    def _replacing(self, max_unavailable: int) -> list[Object]:
        unavailable = 0
        broken: list[Object] = []
        candidates: list[Object] = []
        for pods in self.pods.values():
            here = self._on_node(pods)
            if here is None or (here.old is None) == (here.new is None):
                unavailable += 1  # what is missing or too much is not the rollout's business
            elif here.new is not None:
                unavailable += not self._available(here.new)
            elif here.old is not None and self._available(here.old):
                candidates.append(here.old)
            elif here.old is not None:
                # It serves no client: its replacement costs nothing.
                unavailable += 1
                broken.append(here.old)
        return broken + candidates[: max(0, max_unavailable - unavailable)]

    def _surging(self, max_surge: int) -> Steps:
        surging = 0
        victims: list[Object] = []
        broken: list[str] = []
        candidates: list[str] = []
        for node, pods in self.pods.items():
            here = self._on_node(pods)
            if here is None:
                surging += 1
            elif here.old is None:
                continue
            elif here.new is None:
                (candidates if self._available(here.old) else broken).append(node)
            elif self._available(here.new):
                victims.append(here.old)
            else:
                surging += 1
        return Steps(victims, broken + candidates[: max(0, max_surge - surging)])
