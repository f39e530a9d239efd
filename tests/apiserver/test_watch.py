"""What a watcher may rely on; how reads and caches keep in step with the store."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, cast

import pytest

from k8sactors.actors import Message
from k8sactors.actors.stream import CREDIT, INITIAL_WINDOW
from k8sactors.api import codec
from k8sactors.apiserver.errors import CompactedError
from k8sactors.apiserver.keys import key_of
from k8sactors.chaos.zoo.bugs import BUGS
from k8sactors.client.reflector import Reflector


@pytest.mark.covers("AP-20")
def test_changes_arrive_in_order_and_once(world: Any, make: Any) -> None:
    watch = world.watch("configmaps", "default")
    created = world.do("create", "configmaps", "default", body=make.config_map("a"))
    world.do("patch", "configmaps", "default", "a", body={"data": {"k": "v"}})
    world.do("delete", "configmaps", "default", "a")
    assert watch.events == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    revisions = [revision for _, revision, _ in watch.raw]
    assert revisions == sorted(set(revisions))
    assert revisions[0] == created.revision
    assert watch.objects[2]["data"] == {"k": "v"}


def test_a_batch_of_changes_is_one_message(world: Any, make: Any) -> None:
    watch = world.watch("configmaps", "default")
    for number in range(50):
        world.submit("create", "configmaps", "default", body=make.config_map(f"c{number}"))
    world.run()
    assert [len(message) for message in watch.messages] == [50]


def test_a_watch_without_version_begins_with_what_is_there(world: Any, make: Any) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert world.watch("configmaps", "default").events == [("ADDED", "a")]
    assert world.watch("configmaps", "default", resourceVersion="0").events == [("ADDED", "a")]


@pytest.mark.parametrize("version", [{}, {"resourceVersion": "0"}, {"resourceVersion": "1"}])
def test_a_watch_that_sends_initial_events_says_when_it_has(
    world: Any, make: Any, version: dict[str, str]
) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    watch = world.watch(
        "configmaps",
        "default",
        sendInitialEvents=True,
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks=True,
        **version,
    )
    end = world.memory.revision
    world.do("create", "configmaps", "default", body=make.config_map("b"))
    assert [(kind, revision) for kind, revision, _ in watch.raw][1] == ("BOOKMARK", end)
    assert [kind for kind, _, _ in watch.raw] == ["ADDED", "BOOKMARK", "ADDED"]
    bookmark = watch.objects[1]
    assert bookmark["kind"] == "ConfigMap"
    assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_initial_events_are_sent_or_not_as_the_client_asks(world: Any, make: Any) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    asked = {"resourceVersionMatch": "NotOlderThan"}
    without = world.watch("configmaps", "default", sendInitialEvents=False, **asked)
    unmarked = world.watch("configmaps", "default", sendInitialEvents=True, **asked)
    world.do("create", "configmaps", "default", body=make.config_map("b"))
    assert without.events == [("ADDED", "b")]
    assert unmarked.events == [("ADDED", "a"), ("ADDED", "b")]


def test_initial_events_are_not_older_than_the_version_that_is_asked_for(
    world: Any, make: Any
) -> None:
    lagging = world.add_server()
    world.run()
    frozen = list(world.memory.watches)[1]
    frozen.paused = True
    first = world.do("create", "configmaps", "default", body=make.config_map("a"))
    watch = world.watch(
        "configmaps",
        "default",
        server=lagging,
        resourceVersion=str(first.revision),
        resourceVersionMatch="NotOlderThan",
        sendInitialEvents=True,
    )
    assert watch.events == []
    frozen.paused = False
    world.do("create", "configmaps", "default", body=make.config_map("b"))
    assert watch.events == [("ADDED", "a"), ("ADDED", "b")]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sendInitialEvents": True}, "sendInitialEvents requires setting resourceVersionMatch"),
        (
            {"sendInitialEvents": False, "resourceVersionMatch": "Exact"},
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            {"resourceVersionMatch": "NotOlderThan"},
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    ],
)
def test_options_of_a_watch_that_mean_nothing(
    world: Any, options: dict[str, Any], text: str
) -> None:
    watch = world.watch("configmaps", "default", resourceVersion="1", **options)
    ((kind, code, data),) = watch.raw
    assert (kind, code) == ("ERROR", 422)
    assert text in codec.decode_value(data)["message"]


def test_a_watch_resumes_after_the_version_it_names(world: Any, make: Any) -> None:
    first = world.do("create", "configmaps", "default", body=make.config_map("a"))
    world.do("create", "configmaps", "default", body=make.config_map("b"))
    watch = world.watch("configmaps", "default", resourceVersion=str(first.revision))
    world.do("create", "configmaps", "default", body=make.config_map("c"))
    assert watch.events == [("ADDED", "b"), ("ADDED", "c")]


def test_a_watch_from_a_version_that_this_server_has_not_reached_misses_nothing(
    world: Any, make: Any
) -> None:
    lagging = world.add_server()
    world.run()
    frozen = list(world.memory.watches)[1]
    frozen.paused = True
    first = world.do("create", "configmaps", "default", body=make.config_map("a"))
    watch = world.watch(
        "configmaps", "default", server=lagging, resourceVersion=str(first.revision)
    )
    world.do("create", "configmaps", "default", body=make.config_map("b"))
    frozen.paused = False
    assert watch.events == [("ADDED", "b")]


def test_entering_and_leaving_a_label_selector_is_added_and_deleted(world: Any, make: Any) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    watch = world.watch("configmaps", "default", labelSelector="s=1")

    def label(value: str | None, other: str = "") -> Any:
        body = {"metadata": {"labels": {"s": value, "t": other or None}}}
        return world.do("patch", "configmaps", "default", "a", body=body)

    label("1")
    label("1", "2")
    left = label(None)
    label("1")
    assert [kind for kind, _ in watch.events] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
    gone = watch.objects[2]["metadata"]
    assert gone["labels"] == {"s": "1", "t": "2"}
    assert gone["resourceVersion"] == str(left.revision)


def test_a_node_sees_its_pods_only(world: Any, make: Any) -> None:
    mine = world.watch("pods", fieldSelector="spec.nodeName=n1")
    unassigned = world.watch("pods", fieldSelector="spec.nodeName=")
    for name, node in (("a", "n1"), ("b", "n2")):
        world.do("create", "pods", "default", body=make.pod(name))
        body = {"target": {"name": node}}
        world.do("create", "pods", "default", name, subresource="binding", body=body)
    assert mine.events == [("ADDED", "a")]
    assert unassigned.events == [
        ("ADDED", "a"),
        ("DELETED", "a"),
        ("ADDED", "b"),
        ("DELETED", "b"),
    ]


def test_events_go_to_the_watchers_concerned_only(world: Any, make: Any) -> None:
    watches = {
        "all": world.watch("configmaps"),
        "default": world.watch("configmaps", "default"),
        "system": world.watch("configmaps", "kube-system"),
        "named": world.watch("configmaps", "default", fieldSelector="metadata.name=a"),
        "other": world.watch("configmaps", "default", fieldSelector="metadata.name=z"),
        "elsewhere": world.watch("configmaps", fieldSelector="metadata.namespace=kube-system"),
    }
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    seen = {name: len(watch.raw) for name, watch in watches.items()}
    assert seen == {"all": 1, "default": 1, "system": 0, "named": 1, "other": 0, "elsewhere": 0}


def test_a_cancelled_watch_and_a_lost_connection_get_nothing_more(world: Any, make: Any) -> None:
    first = world.watch("configmaps", "default")
    second = world.watch("configmaps", "default")
    first.cancel()
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert first.events == []
    assert second.events == [("ADDED", "a")]
    world.peer.break_("gone")
    assert world.server.metrics()["watches"] == 0


def test_a_watch_behind_the_window_is_410(empty_world: Any, make: Any) -> None:
    world = empty_world
    world.add_server(event_window=10)
    world.run()
    first = world.do("create", "configmaps", "default", body=make.config_map("a"))
    for number in range(30):
        world.do("patch", "configmaps", "default", "a", body={"data": {"n": str(number)}})
    watch = world.watch("configmaps", "default", resourceVersion=str(first.revision))
    assert watch.events == [("ERROR", "410")]
    status = world.server.metrics()
    assert status["watches"] == 0
    recent = world.memory.revision - 5
    assert len(world.watch("configmaps", "default", resourceVersion=str(recent)).raw) == 5


def test_compaction_under_a_lagging_server_ends_its_watches_and_lists_again(
    world: Any, make: Any
) -> None:
    watch = world.watch("configmaps", "default")
    store_watch = next(iter(world.memory.watches))
    store_watch.paused = True
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    store_watch.close()
    store_watch.on_cancel(CompactedError(world.memory.revision))
    world.advance(1)
    assert watch.events == [("ERROR", "410")]
    assert world.server.metrics()["cache_relists"] == 1
    assert world.do("list", "configmaps", "default").names == ["a"]


def test_bookmarks_tell_how_far_a_quiet_watch_has_come(world: Any, make: Any) -> None:
    quiet = world.watch("secrets", "default", allowWatchBookmarks=True)
    silent = world.watch("secrets", "default")
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    world.advance(61)
    kinds = [(kind, revision) for kind, revision, _ in quiet.raw]
    assert kinds == [("BOOKMARK", world.memory.revision)]
    assert silent.raw == []
    world.advance(120)
    assert len(quiet.raw) == 1


def test_a_watch_ends_when_its_time_is_over(world: Any, make: Any) -> None:
    watch = world.watch("configmaps", "default", timeoutSeconds=5)
    world.advance(6)
    assert watch.events == [("ERROR", "0")]
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert len(watch.raw) == 1


def test_unsupported_selectors_are_400(world: Any) -> None:
    assert world.watch("configmaps", fieldSelector="data.k=v").events == [("ERROR", "400")]
    listed = world.do("list", "deployments.apps", "default", fieldSelector="spec.replicas=1")
    assert listed.code == 400
    assert "field label not supported: spec.replicas" in listed.status["message"]
    assert world.do("list", "pods", "default", labelSelector="a in (b").code == 400


def test_lists_are_ordered_and_span_namespaces(world: Any, make: Any) -> None:
    for namespace, name in (("kube-system", "b"), ("default", "c"), ("default", "a")):
        world.do("create", "configmaps", namespace, body=make.config_map(name))
    assert world.do("list", "configmaps").names == ["a", "c", "b"]
    assert world.do("list", "configmaps", "default").names == ["a", "c"]
    assert world.do("list", "configmaps", "nowhere").names == []


def test_a_list_without_version_sees_every_finished_write(world: Any, make: Any) -> None:
    lagging = world.add_server()
    world.run()
    frozen = list(world.memory.watches)[1]
    frozen.paused = True
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert (
        world.do("list", "configmaps", "default", server=lagging, resourceVersion="0").names == []
    )
    number = world.submit("list", "configmaps", "default", server=lagging)
    world.run()
    assert world.answer(number) is None
    frozen.paused = False
    world.run()
    assert world.answer(number).names == ["a"]


@pytest.mark.parametrize("defective", [False, True])
def test_a_first_list_at_a_lagging_server_shows_what_is_gone_only_when_defective(
    world: Any, make: Any, *, defective: bool
) -> None:
    """Bug 14 of the zoo: a kubelet that has just started would run a pod that was deleted."""
    lagging = world.add_server()
    world.do("create", "configmaps", "default", body=make.config_map("gone"))
    world.run()
    frozen = list(world.memory.watches)[1]
    frozen.paused = True
    world.do("delete", "configmaps", "default", "gone")
    with BUGS[14].switched_on() if defective else nullcontext():
        version = Reflector.first_version(cast("Reflector", None))
    number = world.submit("list", "configmaps", "default", server=lagging, resourceVersion=version)
    world.run()
    assert (world.answer(number) is not None) is defective
    frozen.paused = False
    world.run()
    assert world.answer(number).names == (["gone"] if defective else [])


def test_a_list_not_older_than_a_version_waits_and_gives_up(world: Any, make: Any) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    future = str(world.memory.revision + 100)
    number = world.submit("list", "configmaps", "default", resourceVersion=future)
    world.advance(4)
    answer = world.answer(number)
    assert answer.code == 504
    assert "Too large resource version" in answer.status["message"]
    assert answer.status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_pages_of_a_list_come_from_one_state(world: Any, make: Any) -> None:
    for name in "abcde":
        world.do("create", "configmaps", "default", body=make.config_map(name))
    first = world.do("list", "configmaps", "default", limit=2)
    assert (first.names, first.payload[4]) == (["a", "b"], 3)
    world.do("delete", "configmaps", "default", "c")
    world.do("create", "configmaps", "default", body=make.config_map("cc"))
    second = world.do("list", "configmaps", "default", limit=2, **{"continue": first.payload[3]})
    assert second.names == ["c", "d"]
    assert second.revision == first.revision
    last = world.do("list", "configmaps", "default", limit=2, **{"continue": second.payload[3]})
    assert (last.names, last.payload[3]) == (["e"], None)
    world.memory.compacted = world.memory.revision
    expired = world.do("list", "configmaps", "default", **{"continue": first.payload[3]})
    assert expired.code == 410


def test_exact_lists_the_state_at_a_version(world: Any, make: Any) -> None:
    for name in "ab":
        world.do("create", "configmaps", "default", body=make.config_map(name))
    then = str(world.memory.revision)
    world.do("delete", "configmaps", "default", "a")
    exact = world.do(
        "list", "configmaps", "default", resourceVersion=then, resourceVersionMatch="Exact"
    )
    assert exact.names == ["a", "b"]


def test_meaningless_version_matches_are_422(world: Any) -> None:
    bare = world.do("list", "configmaps", "default", resourceVersionMatch="NotOlderThan")
    zero = world.do(
        "list", "configmaps", "default", resourceVersion="0", resourceVersionMatch="Exact"
    )
    assert (bare.code, zero.code) == (422, 422)
    assert bare.status["details"]["kind"] == "ListOptions"


def test_a_get_without_version_asks_the_store(world: Any, make: Any) -> None:
    lagging = world.add_server()
    world.run()
    list(world.memory.watches)[1].paused = True
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert world.do("get", "configmaps", "default", "a", server=lagging).code == 200
    stale = world.do("get", "configmaps", "default", "a", server=lagging, resourceVersion="0")
    assert stale.code == 404


def test_an_update_through_a_lagging_server_is_judged_by_the_store(world: Any, make: Any) -> None:
    lagging = world.add_server()
    world.run()
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    list(world.memory.watches)[1].paused = True
    current = world.do("patch", "configmaps", "default", "a", body={"data": {"k": "1"}}).obj
    current["data"] = {"k": "2"}
    updated = world.do("update", "configmaps", "default", "a", body=current, server=lagging)
    assert updated.code == 200
    same = world.do(
        "patch", "configmaps", "default", "a", body={"data": {"k": "2"}}, server=lagging
    )
    assert (same.code, same.revision) == (200, updated.revision)


def test_a_watcher_that_does_not_read_is_held_and_then_continues(world: Any, make: Any) -> None:
    watch = world.watch("configmaps", "default")
    world.peer.stalled = True
    for number in range(INITIAL_WINDOW + 3):
        world.memory.handle().commit(
            [],
            [
                (
                    key_of("configmaps", "default", f"m{number}"),
                    codec.encode(make.config_map("m")),
                    0,
                )
            ],
            [],
            lambda _done: None,
            lambda _error: None,
        )
        world.run()
    assert len(watch.raw) == INITIAL_WINDOW
    assert world.server.metrics()["watch_events_waiting"] == 3
    world.peer.stalled = False
    world.peer.read(watch.number, INITIAL_WINDOW)
    assert len(watch.raw) == INITIAL_WINDOW + 3
    revisions = [revision for _, revision, _ in watch.raw]
    assert revisions == sorted(revisions)


def test_a_watcher_that_never_reads_is_cut_and_others_are_unharmed(
    empty_world: Any, make: Any
) -> None:
    world = empty_world
    world.add_server(watch_buffer_events=5)
    world.run()
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    slow, swift = world.watch("configmaps", "default"), world.watch("configmaps", "default")
    stream = world.peer.streams[-slow.number]
    stream.receive(Message(CREDIT, 0, -slow.number, -stream.credit, None, "test"))
    for number in range(7):
        world.do("patch", "configmaps", "default", "a", body={"data": {"n": str(number)}})
        # Five, and as many as there were objects when it began.
        assert world.server.metrics()["watch_events_waiting"] <= 6
    # It may resume where it is: nothing was lost but time.
    assert slow.events == [("ADDED", "a"), ("ERROR", "0")]
    assert len(swift.raw) == 8
    metrics = world.server.metrics()
    assert (metrics["watches"], metrics["watches_too_slow"]) == (1, 1)


def test_a_bookmark_never_overtakes_events_that_wait(empty_world: Any, make: Any) -> None:
    world = empty_world
    world.add_server(bookmark_interval_ns=1_000_000_000)
    world.run()
    watch = world.watch("configmaps", "default", allowWatchBookmarks=True)
    stream = world.peer.streams[-watch.number]
    stream.receive(Message(CREDIT, 0, -watch.number, -stream.credit, None, "test"))
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    world.do("create", "configmaps", "kube-system", body=make.config_map("b"))
    world.advance(5)
    assert watch.raw == []
    world.peer.read(watch.number, 100)
    world.advance(5)
    assert [kind for kind, _, _ in watch.raw][:2] == ["ADDED", "BOOKMARK"]


def test_a_watch_of_one_object_resumes_with_its_changes_alone(world: Any, make: Any) -> None:
    start = world.do("create", "configmaps", "default", body=make.config_map("a")).revision
    world.do("create", "configmaps", "default", body=make.config_map("b"))
    world.do("patch", "configmaps", "default", "a", body={"data": {"k": "v"}})
    world.do("delete", "configmaps", "default", "b")
    world.do("delete", "configmaps", "default", "a")
    options = {"fieldSelector": "metadata.name=a", "resourceVersion": str(start)}
    watch = world.watch("configmaps", "default", **options)
    assert watch.events == [("MODIFIED", "a"), ("DELETED", "a")]
