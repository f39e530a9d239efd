"""Events: counted, combined, throttled."""

from __future__ import annotations

from typing import Any

import trio

from k8sactors import fabric, simulation
from k8sactors.actors import Actor
from k8sactors.api.user import UserInfo
from k8sactors.client import Client, EventRecorder
from k8sactors.testing import ControlPlane

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "7"},
}


class Reporter(Actor):
    def on_start(self) -> None:
        self.recorder = EventRecorder(Client(self.ctx, ["cp-1/apiserver"], UserInfo("x")), "tester")


def run(body: Any) -> None:
    async def main() -> None:
        plane = ControlPlane()
        actors: list[Reporter] = []

        def make() -> Reporter:
            actors.append(Reporter())
            return actors[-1]

        async with fabric.open_fabric() as network:
            plane.add_server(network.add_host("cp-1"))
            plane.objects.put("namespaces", {"metadata": {"name": "shop"}})
            network.add_host("n").spawn("reporter", make)
            await trio.sleep(1)
            await body(actors[0].recorder, plane)
            assert not network.crashes

    simulation.run(main)


def test_event_names_its_object_and_the_same_again_raises_the_count() -> None:
    async def body(recorder: EventRecorder, plane: ControlPlane) -> None:
        recorder.event(POD, "Normal", "Pulled", "got it")
        await trio.sleep(5)
        recorder.event(POD, "Normal", "Pulled", "got it")
        recorder.event(POD, "Warning", "Failed", "lost it")
        await trio.sleep(1)
        first, second = plane.objects.list("events", "shop")
        assert first["metadata"]["name"].startswith("web.")
        assert first["involvedObject"] == {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": "web",
            "uid": "u1",
            "namespace": "shop",
            "resourceVersion": "7",
        }
        assert (first["count"], first["type"], first["reason"]) == (2, "Normal", "Pulled")
        assert first["firstTimestamp"] == "2025-01-01T00:00:01Z"
        assert first["lastTimestamp"] == "2025-01-01T00:00:06Z"
        assert first["source"] == {"component": "tester"}
        assert (second["count"], second["message"]) == (1, "lost it")

    run(body)


def test_many_messages_about_one_thing_are_combined() -> None:
    async def body(recorder: EventRecorder, plane: ControlPlane) -> None:
        for number in range(20):
            recorder.event(POD, "Normal", "Pulled", f"image {number}")
        await trio.sleep(1)
        events = plane.objects.list("events", "shop")
        assert len(events) == 10
        assert events[-1]["message"] == "(combined from similar events): image 19"
        assert events[-1]["count"] == 11

    run(body)


def test_an_object_that_never_stops_is_throttled() -> None:
    async def body(recorder: EventRecorder, plane: ControlPlane) -> None:
        for _ in range(100):
            recorder.event(POD, "Normal", "Pulled", "again")
        await trio.sleep(1)
        [event] = plane.objects.list("events", "shop")
        assert event["count"] == 25
        assert recorder.dropped == 75

    run(body)
