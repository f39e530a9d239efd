"""The extension points after the decision: a user's plugins reserve, hold, prepare and refuse."""

from __future__ import annotations

from typing import Any, ClassVar

import trio

from k8sactors.scheduler import default_profile
from k8sactors.scheduler.cache import Cache
from k8sactors.scheduler.framework import (
    BindPlugin,
    Code,
    CycleState,
    Handle,
    PermitPlugin,
    PostBindPlugin,
    PreBindPlugin,
    PreFilterPlugin,
    ReservePlugin,
    Status,
)
from k8sactors.scheduler.framework.interfaces import Done
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo
from tests.scheduler.builders import node_object, pod_object
from tests.scheduler.test_scheduler_actor import Stage, on_stage

EQUAL_PODS = 4


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

    def permit(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> tuple[Status | None, int]:
        del state, node
        if not pod.name.startswith("gang"):
            return None, 0
        others = [w for w in self.handle.waiting.values() if w.pod.name.startswith("gang")]
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


class Claims(ReservePlugin, PreBindPlugin):
    """Notes a claim for each pod, and looks at the notes when several pods are on their way."""

    name = "Claims"

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self._held: list[tuple[CycleState, PodInfo, Done]] = []

    def reserve(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Status | None:
        del node
        state.notes[self.name] = f"claim-of-{pod.name}"
        return None

    def unreserve(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> None:
        del pod, node
        state.notes.pop(self.name, None)

    def pre_bind(self, state: CycleState, pod: PodInfo, node: NodeInfo, done: Done) -> None:
        del node
        self._held.append((state, pod, done))
        if len(self._held) == EQUAL_PODS:
            for held_state, held_pod, held_done in self._held:
                own = held_state.notes[self.name] == f"claim-of-{held_pod.name}"
                held_done(None if own else Status(Code.ERROR, ("not its claim",), self.name))


class LateReader(PreFilterPlugin):
    """Asks for its lister when the first pod comes, which is late."""

    name = "LateReader"

    def pre_filter(self, state: CycleState, pod: PodInfo, cache: Cache) -> Status | None:
        del state, cache
        found = self.handle.lister("configmaps").get(pod.namespace, "settings")
        return None if found else Status(Code.UNSCHEDULABLE, ("no settings",), self.name)


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


def test_equal_pods_on_their_way_have_notes_of_their_own() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0"), node_object("n1"))
        stage.add_scheduler(leader_elect=False, profiles=[profile_with(Claims)])
        stage.add_pods(*(pod_object(f"p{i}", cpu="100m") for i in range(EQUAL_PODS)))
        await trio.sleep(1)
        assert stage.schedulers[0].statistics()["errors"] == 0
        assert all(stage.node_of(f"p{i}") for i in range(EQUAL_PODS))

    on_stage(body)


def test_a_pod_that_is_deleted_while_a_plugin_holds_it_gives_the_room_back() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0"))
        stage.add_scheduler(leader_elect=False, profiles=[profile_with(Gang)])
        stage.add_pods(pod_object("gang-a"))
        await trio.sleep(1)
        stage.store.remove("pods", "gang-a", "default")
        await trio.sleep(1)
        scheduler = stage.schedulers[0]
        assert scheduler.cache.pod_count == 0
        assert scheduler.statistics()["bindings in flight"] == 0
        # The next one of the gang does not find the deleted one waiting.
        stage.add_pods(pod_object("gang-b"))
        await trio.sleep(1)
        assert stage.node_of("gang-b") is None

    on_stage(body)


def test_a_lister_that_is_asked_for_late_follows_its_resource_from_then_on() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0"))
        settings = {"metadata": {"name": "settings", "namespace": "default"}, "kind": "ConfigMap"}
        stage.store.put("configmaps", {**settings, "apiVersion": "v1"})
        stage.add_scheduler(leader_elect=False, profiles=[profile_with(LateReader)])
        stage.add_pods(pod_object("first"))
        await trio.sleep(1)
        assert "available: no settings." in stage.condition("first")["message"]
        stage.add_pods(pod_object("second"))
        await trio.sleep(1)
        assert stage.node_of("second") == "n0"

    on_stage(body)


def test_permit_holds_a_pod_until_its_gang_is_complete() -> None:
    async def body(stage: Stage) -> None:
        stage.add_nodes(node_object("n0"))
        stage.add_scheduler(leader_elect=False, profiles=[profile_with(Gang)])
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
        stage.add_scheduler(leader_elect=False, profiles=[profile_with(Gang)])
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
