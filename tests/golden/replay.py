"""Replays a case and keeps what the normal form is made of: log, results, marks, snapshots."""

import re
from collections.abc import Sequence
from typing import Any

import trio

from tests.golden.actions import Actions
from tests.golden.recordings import KINDS, WATCHED, normal_form
from tests.golden.stage import Stage, default_nodes, open_stage

Object = dict[str, Any]

# As long as an operator needs for a request: until our watch has seen what the request did.
STEP_S = 0.001
UID = re.compile(r"\$uid:(\w+)/([\w.-]+?)(?:@([\w.-]+))?")


class Replay:
    """One run of one case. Attribute names are those that the normal form expects."""

    def __init__(self, case: Object, stage: Stage) -> None:
        self.case = case
        self.stage = stage
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
            for obj in self.stage.hub.find(kind)
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
                owner = self.stage.hub.find(kind, namespace or self.ns, name)[0]
                return owner["metadata"]["uid"]
            return value
        if isinstance(value, dict):
            return {self.expand(key): self.expand(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item) for item in value]
        return value

    async def settle(self, quiet_s: float, limit_s: float) -> None:
        """Wait until nothing has changed for a while."""
        hub = self.stage.hub
        self.last = max(self.last, hub.now_s())
        await self.stage.wait_for(
            lambda: hub.now_s() - self.last >= quiet_s, limit_s, "the cluster comes to rest"
        )

    async def run(self) -> Object:
        """All steps; returns the facts of this run in normal form."""
        stage, hub = self.stage, self.stage.hub
        nodes = self.case.get("nodes", "agent")
        await stage.add_nodes(
            self.expand(nodes) if isinstance(nodes, list) else default_nodes(nodes)
        )
        hub.sinks.append(self.observe)
        for name in self.namespaces:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await hub.call("create", "Namespace", body=body)
        for name in self.namespaces:
            account = ("ServiceAccount", name, "default")
            await stage.wait_for(lambda account=account: hub.find(*account), 30, "service account")
        actions = Actions(self)
        for number, step in enumerate(self.case["steps"]):
            await actions.do(number, self.expand(step))
            await trio.sleep(STEP_S)
        if not self.case.get("no-final-settle"):
            await self.settle(float(self.case.get("settle", 2)), 60)
        await trio.sleep(0.3)
        form = normal_form()
        facts: Object = form.Normaliser(self, self.live(), hub.now_s()).build()
        return facts


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


async def replay(case: Object) -> Object:
    """The merged facts of one run of a case, in the form of the recordings."""
    async with open_stage() as stage:
        facts = await Replay(case, stage).run()
    merged: Object = normal_form().merge(case, [facts])
    # Merging loosens what a single run cannot prove; the comparison wants what was seen.
    ignored = case.get("ignore-events") or []
    merged["events"] = [event for event in facts["events"] if event["reason"] not in ignored]
    merged["timings"] = facts["timings"]
    merged["rows"], merged["lifecycle"] = facts["transitions"], facts["order"]
    return merged
