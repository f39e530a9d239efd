"""The daemon pods of one node: which of several are too many, and how often failed ones come back.

Pure, apart from the clock of the back-off.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.actors import Context
from k8sactors.controllers.machinery.controller_ref_manager import labels_of
from k8sactors.controllers.machinery.pods import is_available, is_ready
from k8sactors.controllers.machinery.revisions import REVISION_LABEL
from k8sactors.simulation import SECOND

Object = dict[str, Any]
INITIAL_BACKOFF_NS: Final = SECOND
MAX_BACKOFF_NS: Final = 15 * 60 * SECOND


def _allows_surge(daemon_set: Object) -> bool:
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    surge = (strategy.get("rollingUpdate") or {}).get("maxSurge")
    return strategy.get("type") != "OnDelete" and surge not in {None, 0, "0%"}


def surplus_of(pods: list[Object], daemon_set: Object, digest: str, wall_ns: int) -> list[Object]:
    """Which of a node's running pods, oldest first, should go.

    Without surge all but the oldest. With surge one of the present template and one of an earlier
    one may be together as long as the earlier one is ready and the present one not yet available.
    """
    if len(pods) <= 1:
        return []
    if not _allows_surge(daemon_set):
        return pods[1:]
    newest: Object | None = None
    former: Object | None = None
    surplus = []
    for pod in pods:
        is_new = labels_of(pod).get(REVISION_LABEL) == digest
        if is_new and newest is None:
            newest = pod
        elif not is_new and former is None:
            former = pod
        else:
            surplus.append(pod)
    seconds = daemon_set["spec"].get("minReadySeconds") or 0
    if (
        newest is not None
        and former is not None
        and (not is_ready(former) or is_available(newest, seconds, wall_ns))
    ):
        surplus.append(former)
    return surplus


@attrs.define
class _Entry:
    delay_ns: int
    since_ns: int


class PodBackoff:
    """How long the controller waits before it replaces a pod that has ended, again, on a node."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._entries: dict[str, dict[str, _Entry]] = {}

    def _entry(self, key: str, daemon_set: Object, node: str) -> _Entry | None:
        entry = self._entries.get(key, {}).get(_name(daemon_set, node))
        if entry is None or self._ctx.now_ns() - entry.since_ns > 2 * MAX_BACKOFF_NS:
            return None
        return entry

    def wait_ns(self, key: str, daemon_set: Object, node: str) -> int:
        """How much of the delay is left; 0 when the pod may be replaced now."""
        entry = self._entry(key, daemon_set, node)
        if entry is None:
            return 0
        return max(0, entry.since_ns + entry.delay_ns - self._ctx.now_ns())

    def failed(self, key: str, daemon_set: Object, node: str) -> None:
        """A pod is replaced: the next one on this node waits twice as long."""
        entry = self._entry(key, daemon_set, node)
        delay_ns = INITIAL_BACKOFF_NS
        if entry is not None:
            delay_ns = min(2 * entry.delay_ns, MAX_BACKOFF_NS)
        entries = self._entries.setdefault(key, {})
        entries[_name(daemon_set, node)] = _Entry(delay_ns, self._ctx.now_ns())

    def forget(self, key: str) -> None:
        """The DaemonSet is gone."""
        self._entries.pop(key, None)


def _name(daemon_set: Object, node: str) -> str:
    # A changed DaemonSet starts again from the shortest delay.
    generation = (daemon_set.get("status") or {}).get("observedGeneration") or 0
    return f"{daemon_set['metadata']['uid']}/{generation}/{node}"
