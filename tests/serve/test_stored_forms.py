"""Stored objects are encoded once for all who read them, within a limit."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from k8sactors.api import codec, protobuf
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.protobuf import table
from k8sactors.api.scheme import builtin
from k8sactors.gateway.stored_forms import (
    TURN_OBJECTS,
    StoredForm,
    StoredMessages,
    StoredTexts,
    gathered,
)

SCHEME = builtin()
PODS = SCHEME.kind("v1", "Pod")


def pod(name: str) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


async def list_of(form: StoredForm, items: list[Any], metadata: dict[str, Any]) -> bytes:
    return b"".join(await form.of_list(PODS, items, metadata))


@pytest.mark.parametrize("metadata", [{"resourceVersion": "9", "continue": "c"}, {}])
async def test_lists_and_events_are_those_of_the_objects(metadata: dict[str, Any]) -> None:
    messages = StoredMessages()
    items = [[number, codec.encode(pod(f"p{number}"))] for number in (3, 5)]
    for _ in range(2):
        objects = [codec.decode(data, revision) for revision, data in items]
        whole = {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": objects}
        assert await list_of(messages, items, metadata) == protobuf.encode(whole)
        assert messages.of_event(PODS, "ADDED", *items[0]) == protobuf.encode_frame(
            "ADDED", objects[0]
        )
    empty = protobuf.decode(await list_of(messages, [], metadata))
    assert empty == {"kind": "PodList", "apiVersion": "v1", "metadata": metadata}


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_a_list_in_json_says_once_what_its_items_are(count: int) -> None:
    texts, metadata = StoredTexts(), {"resourceVersion": "9"}
    items = [[number, codec.encode(pod(f"p{number}"))] for number in range(1, count + 1)]
    objects = [codec.decode(data, revision) for revision, data in items]
    for _ in range(2):
        for number, obj in enumerate(objects):
            line = texts.of_event(PODS, "ADDED", *items[number])
            assert line.endswith(b"}\n")
            assert json.loads(line) == {"type": "ADDED", "object": obj}
        answer = json.loads(await list_of(texts, items, metadata))
        bare = [{key: obj[key] for key in ("metadata", "spec")} for obj in objects]
        about = {"kind": "PodList", "apiVersion": "v1", "metadata": metadata}
        assert answer == {**about, "items": bare}


async def test_lists_of_the_same_objects_share_their_bytes() -> None:
    items = [[number, codec.encode(pod(f"p{number}"))] for number in (3, 5)]
    for form in (StoredMessages(), StoredTexts()):
        first, second = [await form.of_list(PODS, items, {}) for _ in range(2)]
        shared = {id(part) for part in first if len(part) > len("metadata")} & set(map(id, second))
        assert len(shared) >= len(items)


async def test_others_have_their_turns_while_a_long_list_is_made() -> None:
    data = codec.encode(pod("p"))
    items = [[number, data] for number in range(1, 10 * TURN_OBJECTS + 1)]
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        await StoredTexts().of_list(PODS, items, {})
        nursery.cancel_scope.cancel()
    assert turns >= 8


def test_pieces_hold_all_bytes_in_order() -> None:
    parts = [b"ab", b"c", b"defg", b"h", b""]
    assert list(gathered(parts, 3)) == [b"abc", b"defg", b"h"]
    assert not list(gathered([], 3))


def test_every_list_holds_metadata_and_items() -> None:
    for info in SCHEME.resources():
        message = table.message_of(info.api_version, info.list_kind)
        if "list" in info.verbs:
            assert message is not None
            assert [field.name for field in table.fields_of(message)] == ["metadata", "items"]


def test_revisions_and_versions_are_told_apart() -> None:
    messages = StoredMessages()
    data = codec.encode(pod("a"))
    found = {messages.object(PODS, revision, data) for revision in (1, 2)}
    assert len(found) == 2
    kind = "HorizontalPodAutoscaler"
    # A field of the first version alone.
    spec = {"targetCPUUtilizationPercentage": 50}
    data = codec.encode({"kind": kind, "metadata": {"name": "a"}, "spec": spec})
    autoscalers = [SCHEME.kind(f"autoscaling/{version}", kind) for version in ("v1", "v2")]
    assert len({messages.object(info, 1, data) for info in autoscalers}) == 2


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(pod("a"))
    size = len(data) + len(StoredMessages().object(PODS, 1, data))
    messages = StoredMessages(max_bytes=3 * size)
    encoded: list[int] = []
    encode = StoredMessages.encode

    def counted(form: StoredMessages, info: ResourceInfo, revision: int, data: bytes) -> bytes:
        encoded.append(revision)
        return encode(form, info, revision, data)

    monkeypatch.setattr(StoredMessages, "encode", counted)
    for revision in (1, 2, 3, 3, 2, 1, 4, 1, 4):
        messages.object(PODS, revision, data)
    # The fourth made the first go.
    assert encoded == [1, 2, 3, 4, 1]
