"""The steps of a case: what an operator does to the cluster."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from k8sactors.api.meta import format_time
from tests.golden.agents import condition
from tests.golden.recordings import KINDS
from tests.golden.replayed_case import ReplayedCase
from tests.golden.rollback import RollbackError, rollback_patch

Object = dict[str, Any]
Target = tuple[str, str | None, str]


class Actions:
    """Every action is a method of its name."""

    def __init__(self, case: ReplayedCase) -> None:
        self._case = case
        self._observer = case.cluster.observer
        self._agents = case.cluster.agents
        self._number = 0

    async def do(self, number: int, step: Object) -> None:
        """Do one step, already expanded."""
        names = [key for key in step if key not in {"note", "force"}]
        assert len(names) == 1, step
        self._number = number
        action: Callable[[Any], Awaitable[None]] = getattr(self, names[0].replace("-", "_"))
        await action(step[names[0]])

    # Objects

    def _note(self, what: str, answer: tuple[int, Object], *, always: bool = False) -> None:
        self._case.outcome(self._number, what, *answer, always=always)

    def _prepare(self, obj: Object) -> tuple[str, str | None, Object]:
        obj = copy.deepcopy(obj)
        info = KINDS[obj["kind"]]
        obj["apiVersion"] = info.api_version
        namespace = None
        if info.namespaced:
            namespace = obj["metadata"].setdefault("namespace", self._case.ns)
        elif obj["kind"] != "Namespace":
            self._case.cluster_objects.append((obj["kind"], obj["metadata"]["name"]))
        spec = obj.get("spec") or {}
        if obj["kind"] != "Pod":
            spec = (spec.get("template") or {}).get("spec")
        if spec:
            spec.setdefault("automountServiceAccountToken", False)
        return obj["kind"], namespace, obj

    async def apply(self, objects: list[Object]) -> None:
        for item in objects:
            kind, namespace, obj = self._prepare(item)
            name = obj["metadata"]["name"]
            answer = await self._observer.call("create", kind, namespace, body=obj)
            if answer[1].get("reason") == "AlreadyExists" and answer[0] == 409:
                answer = await self._observer.call("patch", kind, namespace, name, None, obj)
            self._note(f"apply {kind}/{name}", answer)

    async def create(self, objects: list[Object]) -> None:
        for item in objects:
            kind, namespace, obj = self._prepare(item)
            answer = await self._observer.call("create", kind, namespace, body=obj)
            self._note(f"create {kind}/{obj['metadata']['name']}", answer, always=True)

    def _targets(self, args: Object) -> list[Target]:
        kind = args.get("kind", "Pod")
        namespace = args.get("namespace", self._case.ns) if KINDS[kind].namespaced else None
        if "name" in args:
            return [(kind, namespace, args["name"])]
        found = self._observer.find(kind, namespace, None, args.get("selector"))
        if args.get("node"):
            found = [o for o in found if o["spec"].get("nodeName") == args["node"]]
        if args.get("ready") is not None:
            found = [o for o in found if (condition(o, "Ready") == "True") == args["ready"]]
        if "owner" in args:
            found = [
                o
                for o in found
                if any(
                    r["name"] == args["owner"] for r in o["metadata"].get("ownerReferences") or []
                )
            ]
        if "index" in args:
            index = args["index"]
            found = [found[i] for i in (index if isinstance(index, list) else [index])]
        return [(kind, namespace, o["metadata"]["name"]) for o in found]

    async def delete(self, args: Object) -> None:
        options = {
            key: args[key] for key in ("propagationPolicy", "gracePeriodSeconds") if key in args
        }
        for kind, namespace, name in self._targets(args):
            answer = await self._observer.call("delete", kind, namespace, name, **options)
            self._note(f"delete {kind}/{name}", answer)

    async def evict(self, args: Object) -> None:
        for _, namespace, name in self._targets(args):
            body = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": namespace},
            }
            answer = await self._observer.call("create", "Pod", namespace, name, "eviction", body)
            self._note(f"evict Pod/{name}", answer, always=True)

    async def _patch(
        self, what: str, args: Object, body: Any, form: str = "merge", subresource: Any = None
    ) -> None:
        for kind, namespace, name in self._targets(args):
            answer = await self._observer.call(
                "patch", kind, namespace, name, subresource, body, patchType=form
            )
            self._note(f"{what} {kind}/{name}", answer)

    async def patch(self, args: Object) -> None:
        form = args.get("type", "merge")
        await self._patch("patch", args, args["body"], form, args.get("subresource"))

    async def scale(self, args: Object) -> None:
        body = {"spec": {"replicas": args["replicas"]}}
        await self._patch("scale", {"kind": "Deployment", **args}, body, "merge", "scale")

    async def image(self, args: Object) -> None:
        container = {"name": args.get("container", "app"), "image": args["image"]}
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await self._patch("image", {"kind": "Deployment", **args}, body, "strategic")

    async def label(self, args: Object) -> None:
        await self._patch("label", args, {"metadata": {"labels": args["labels"]}})

    async def annotate(self, args: Object) -> None:
        await self._patch("annotate", args, {"metadata": {"annotations": args["annotations"]}})

    async def condition(self, args: Object) -> None:
        now = format_time(self._observer.ctx.wall_ns())
        entry = {"type": args["type"], "status": str(args["status"]), "lastTransitionTime": now}
        body = {"status": {"conditions": [entry]}}
        await self._patch("condition", args, body, "strategic", "status")

    async def finish(self, args: Object) -> None:
        for _, namespace, name in self._targets(args):
            pod = self._observer.find("Pod", namespace, name)[0]
            answer = await self._agents.finish(pod, int(args.get("exitCode", 0)))
            self._note(f"finish Pod/{name}", answer)

    async def pick(self, args: Object) -> None:
        kind, namespace, name = self._targets(args)[0]
        self._case.vars[args["as"]] = name
        uid = self._observer.find(kind, namespace, name)[0]["metadata"]["uid"]
        self._case.picks[uid] = args["as"]

    async def rollback(self, args: Object) -> None:
        """What `kubectl rollout undo` does with a Deployment."""
        name = args["name"]
        deployment = self._observer.find("Deployment", self._case.ns, name)[0]
        owned = [
            obj
            for obj in self._observer.find("ReplicaSet", self._case.ns)
            if any(
                ref["uid"] == deployment["metadata"]["uid"]
                for ref in obj["metadata"].get("ownerReferences") or []
            )
        ]
        try:
            body = rollback_patch(deployment, owned, args.get("to", 0))
        except RollbackError as error:
            self._case.results.append(
                {
                    "step": self._number,
                    "action": "rollback",
                    "code": 1,
                    "message": f"error: {error}",
                }
            )
            return
        await self._observer.call(
            "patch", "Deployment", self._case.ns, name, None, body, patchType="json"
        )

    # Nodes

    async def cordon(self, name: str) -> None:
        await self._observer.call(
            "patch", "Node", None, name, None, {"spec": {"unschedulable": True}}
        )

    async def uncordon(self, name: str) -> None:
        await self._observer.call(
            "patch", "Node", None, name, None, {"spec": {"unschedulable": None}}
        )

    async def taint(self, args: Object) -> None:
        _, node = await self._observer.call("get", "Node", None, args["node"])
        taints = [t for t in node["spec"].get("taints") or [] if t["key"] != args["key"]]
        if not args.get("remove"):
            taints.append({key: args[key] for key in ("key", "value", "effect") if key in args})
        body = {"spec": {"taints": taints}}
        await self._observer.call("patch", "Node", None, args["node"], None, body)

    async def add_node(self, args: Object) -> None:
        cluster = self._case.cluster
        await cluster.add_node(args)
        if args.get("wait", True):
            await cluster.wait_for(lambda: cluster.usable(args), 60, f"node {args['name']}")

    async def kill_node(self, name: str) -> None:
        if name in self._agents.kinds:
            self._agents.kinds[name] = "dead"
        else:
            self._case.cluster.network.hosts[name].kill()

    async def restart_node(self, args: Object) -> None:
        name = args["name"]
        if args.get("kind") == "hollow":
            self._case.cluster.network.hosts[name].restart()
            return
        self._agents.kinds[name] = args.get("kind", "agent")
        await self._agents.renew(name)
        await self._agents.report(name)

    async def delete_node(self, name: str) -> None:
        await self.kill_node(name)
        await self._observer.call("delete", "Node", None, name)

    # Time

    async def wait(self, seconds: float) -> None:
        await trio.sleep(float(seconds))

    async def settle(self, args: Any) -> None:
        options = args if isinstance(args, dict) else {"quiet": args}
        quiet_s, limit_s = float(options.get("quiet") or 2), float(options.get("max", 60))
        await self._case.settle(quiet_s, limit_s)

    async def until(self, args: Object) -> None:
        kind = args["kind"]
        namespace = args.get("namespace", self._case.ns) if KINDS[kind].namespaced else None
        since = self._case.marks[-1][1] if self._case.marks else 0.0

        def holds() -> bool:
            found = self._observer.find(kind, namespace, args.get("name"), args.get("selector"))
            if args.get("gone"):
                return not found
            if "path" in args:
                found = [obj for obj in found if _fits(_at(obj, args["path"]), args)]
            return len(found) == args["count"] if "count" in args else bool(found)

        await self._case.cluster.wait_for(holds, args.get("timeout", 30), f"step {self._number}")
        if "timing" in args:
            self._case.timings[args["timing"]] = round(self._observer.now_s() - since, 1)

    async def mark(self, name: str) -> None:
        self._case.marks.append((name, self._observer.now_s()))

    async def snapshot(self, name: str) -> None:
        self._case.snapshots.append((name, self._case.live()))


def _fits(value: Any, args: Object) -> bool:
    if "equals" in args:
        return bool(value == args["equals"])
    if args.get("absent"):
        return value is None
    if "atleast" in args:
        return bool((value or 0) >= args["atleast"])
    if "contains" in args:
        return args["contains"] in json.dumps(value)
    return value is not None and value != ""


def _at(obj: Any, path: str | list[str]) -> Any:
    """The value at `a.b[key=value].c` or `a[0]`, None when there is none."""
    steps = re.findall(r"[^.\[\]]+|\[[^\]]*\]", path) if isinstance(path, str) else path
    for step in steps:
        if obj is None:
            return None
        if not step.startswith("["):
            obj = obj.get(step) if isinstance(obj, dict) else None
            continue
        key, equals, wanted = step[1:-1].partition("=")
        if equals:
            obj = next((item for item in obj if str(item.get(key)) == wanted), None)
        else:
            obj = obj[int(key)] if int(key) < len(obj) else None
    return obj
