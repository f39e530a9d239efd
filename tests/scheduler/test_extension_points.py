"""The extension points after the decision: a user's plugins reserve, hold, prepare and refuse."""

from typing import Any, ClassVar

import trio

from k8sactors.scheduler import default_profile
from k8sactors.scheduler.framework import (
    BindPlugin,
    Code,
    CycleState,
    PermitPlugin,
    PluginEntry,
    PostBindPlugin,
    PreBindPlugin,
    ReservePlugin,
    Status,
)
from k8sactors.scheduler.framework.interfaces import Done
from k8sactors.scheduler.handle import Handle
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from tests.scheduler.builders import node_object, pod_object
from tests.scheduler.test_scheduler_actor import Stage, on_stage


class Diary(ReservePlugin, PreBindPlugin, PostBindPlugin):
    """Writes down what it is asked; refuses pods by name."""

    name = "Diary"
    entries: ClassVar[list[str]] = []

    def reserve(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        del state
        self.entries.append(f"reserve {pod.name} {node.name}")
        if pod.name == "unwanted":
            return Status(Code.UNSCHEDULABLE, ("nothing left to reserve",), self.name)
        return None

    def unreserve(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> None:
        del state
        self.entries.append(f"unreserve {pod.name} {node.name}")

    def pre_bind(self, state: CycleState, pod: PodInfo, node: NodeInfo, done: Done) -> None:
        del state, node
        self.entries.append(f"prepare {pod.name}")
        broken = pod.name == "fragile" and self.entries.count("prepare fragile") == 1
        done(Status(Code.ERROR, ("the volume is stuck",), self.name) if broken else None)

    def post_bind(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> None:
        del state
        self.entries.append(f"bound {pod.name} {node.name}")


class Gang(PermitPlugin):
    """Holds pods until two are there."""

    name = "Gang"

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def permit(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> tuple[Status | None, int]:
        del state, node
        if not pod.name.startswith("gang"):
            return None, 0
        others = [w for w in self._handle.waiting.values() if w.pod.name.startswith("gang")]
        if not others:
            return Status(Code.WAIT, (), self.name), 5_000_000_000
        for waiting in others:
            waiting.allow(self.name)
        return None, 0


class Elsewhere(BindPlugin):
    """Binds pods of its own kind without the API server, and leaves the others alone."""

    name = "Elsewhere"

    def bind(self, state: CycleState, pod: PodInfo, node: NodeInfo, done: Done) -> None:
        del state, node
        done(None if pod.name == "virtual" else Status(Code.SKIP))


def profile_with(*entries: Any) -> Any:
    profile = default_profile()
    for entry in entries:
        profile = profile.with_plugin(entry)
    return profile


def test_what_is_reserved_is_given_back_when_a_later_step_fails() -> None:
    async def body(stage: Stage) -> None:
        Diary.entries.clear()
        stage.add_nodes(node_object("n0"))
        stage.add_scheduler(leader_elect=False, profiles=[profile_with(Diary)])
        stage.add_pods(pod_object("plain"))
        await trio.sleep(1)
        assert Diary.entries == ["reserve plain n0", "prepare plain", "bound plain n0"]
        Diary.entries.clear()
        stage.add_pods(pod_object("unwanted"), pod_object("fragile"))
        await trio.sleep(0.5)
        assert "unreserve unwanted n0" in Diary.entries
        assert "unreserve fragile n0" in Diary.entries
        assert stage.condition("unwanted")["message"] == "nothing left to reserve"
        assert stage.condition("fragile")["reason"] == "SchedulerError"
        assert stage.schedulers[0].cache.pod_count == 1
        await trio.sleep(3)
        assert stage.node_of("fragile") == "n0"
        assert stage.node_of("unwanted") is None

    on_stage(body)


def test_permit_holds_a_pod_until_its_gang_is_complete() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0"))
        gang = PluginEntry(Gang.name, Gang)
        stage.add_scheduler(leader_elect=False, profiles=[profile_with(gang)])
        stage.add_pods(pod_object("gang-a"), pod_object("alone"))
        await trio.sleep(1)
        assert (stage.node_of("gang-a"), stage.node_of("alone")) == (None, "n0")
        stage.add_pods(pod_object("gang-b"))
        await trio.sleep(1)
        assert (stage.node_of("gang-a"), stage.node_of("gang-b")) == ("n0", "n0")

    on_stage(body)


def test_a_gang_that_stays_incomplete_gives_the_room_back() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0"))
        gang = PluginEntry(Gang.name, Gang)
        stage.add_scheduler(leader_elect=False, profiles=[profile_with(gang)])
        stage.add_pods(pod_object("gang-a"))
        await trio.sleep(4)
        assert stage.schedulers[0].cache.pod_count == 1
        await trio.sleep(1.5)
        assert stage.schedulers[0].cache.pod_count == 0
        assert "timed out waiting for Gang" in stage.condition("gang-a")["message"]

    on_stage(body)


def test_a_bind_plugin_may_take_some_pods_and_leave_the_rest() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0"))
        profile = default_profile().without("DefaultBinder").with_plugin(Elsewhere)
        binder = next(p for p in default_profile().plugins if p.name == "DefaultBinder")
        stage.add_scheduler(leader_elect=False, profiles=[profile.with_plugin(binder)])
        stage.add_pods(pod_object("virtual"), pod_object("usual"))
        await trio.sleep(1)
        assert (stage.node_of("virtual"), stage.node_of("usual")) == (None, "n0")
        assert stage.bindings() == 1

    on_stage(body)
