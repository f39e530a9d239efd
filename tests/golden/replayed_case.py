"""A case while it is replayed: what the normal form is made of (log, results, marks, snapshots)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tests.golden.case_cluster import CaseCluster
from tests.golden.recordings import KINDS, WATCHED

Object = dict[str, Any]

UID = re.compile(r"\$uid:(\w+)/([\w.-]+?)(?:@([\w.-]+))?")


class ReplayedCase:
    """One run of one case. Attribute names are those that the normal form expects."""

    def __init__(self, case: Object, cluster: CaseCluster) -> None:
        self.case = case
        self.cluster = cluster
        self.ns = f"ctl-{case['name']}"
        self.vars = {"NS": self.ns, "R": "0"}
        self.namespaces = [self.expand(name) for name in case.get("namespaces", ["$NS"])]
        self.exclusive = bool(case.get("exclusive") or isinstance(case.get("nodes"), list))
        self.log: list[tuple[float, str, str, Object]] = []
        self.results: list[Object] = []
        self.marks: list[tuple[str, float]] = []
        self.timings: dict[str, float] = {}
        self.picks: dict[str, str] = {}
        self.snapshots: list[tuple[str, list[tuple[str, Object]]]] = []
        self.cluster_objects: list[tuple[str, str]] = []
        self.last = 0.0

    # What is logged

    def observe(self, now: float, kind: str, event: str, obj: Object, old: Object | None) -> None:
        """Log a change if it belongs to the case."""
        if not self._concerns(kind, obj):
            return
        self.log.append((now, kind, event, obj))
        noise = kind == "Event" or (
            kind == "Node" and event == "MODIFIED" and _digest(obj) == _digest(old)
        )
        if not noise:
            self.last = now

    def _concerns(self, kind: str, obj: Object) -> bool:
        metadata = obj["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace")
        if kind == "Event" and namespace == "default":
            about = obj["involvedObject"]
            nodes = about["kind"] == "Node" and self.exclusive and self.case.get("record-nodes")
            return bool(nodes) or (about["kind"], about["name"]) in self.cluster_objects
        if KINDS[kind].namespaced:
            return namespace in self.namespaces
        if kind == "Namespace":
            return name in self.namespaces
        if kind == "Node":
            return self.exclusive
        return (kind, name) in self.cluster_objects

    def live(self) -> list[tuple[str, Object]]:
        """All objects of the case as they are now."""
        nodes = self.exclusive and self.case.get("record-nodes")
        return [
            (kind, obj)
            for kind in WATCHED
            if kind != "Event" and (kind != "Node" or nodes)
            for obj in self.cluster.observer.find(kind)
            if self._concerns(kind, obj)
        ]

    def outcome(self, step: int, what: str, code: int, obj: Object, *, always: bool) -> None:
        """Note what became of a request, if it was refused or its outcome matters anyway."""
        if code < 300 and not always:
            return
        result: Object = {"step": step, "action": what, "code": code}
        if obj.get("kind") == "Status":
            result["reason"] = obj.get("reason")
            result["message"] = obj.get("message")
            causes = (obj.get("details") or {}).get("causes")
            if causes:
                result["causes"] = causes
        self.results.append(result)

    # How a case is written

    def expand(self, value: Any) -> Any:
        """Replace `$NS`, `$R` and picked names."""
        if isinstance(value, str):
            for name in sorted(self.vars, key=len, reverse=True):
                value = value.replace(f"${name}", self.vars[name])
            found = UID.fullmatch(value)
            if found:
                kind, name, namespace = found.groups()
                owner = self.cluster.observer.find(kind, namespace or self.ns, name)[0]
                return owner["metadata"]["uid"]
            return value
        if isinstance(value, dict):
            return {self.expand(key): self.expand(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item) for item in value]
        return value

    async def settle(self, quiet_s: float, limit_s: float) -> None:
        """Wait until nothing has changed for a while."""
        observer = self.cluster.observer
        self.last = max(self.last, observer.now_s())
        await self.cluster.wait_for(
            lambda: observer.now_s() - self.last >= quiet_s, limit_s, "the cluster comes to rest"
        )


def _digest(node: Object | None) -> Sequence[Any]:
    """What of a node is more than a heartbeat."""
    if node is None:
        return ()
    metadata, spec = node["metadata"], node["spec"]
    conditions = [(c["type"], c["status"]) for c in node["status"].get("conditions") or []]
    return (
        spec.get("taints"),
        spec.get("unschedulable"),
        metadata.get("labels"),
        conditions,
        metadata.get("deletionTimestamp"),
    )
