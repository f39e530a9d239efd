"""Answers from stored objects, each of which is encoded once for all who ask, in JSON and protobuf.

What an API server answers are the bytes of stored objects with their revisions; they are the same
in every list and every watch. So what they become is remembered, the latest up to a number of
bytes, and the lists that are being sent at a time share it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import trio

from k8sactors.api import codec, protobuf
from k8sactors.api.errors import UnknownKindError
from k8sactors.api.kind import ResourceInfo
from k8sactors.gateway.negotiation import PROTOBUF, Format
from k8sactors.gateway.representation import AS_JSON, json_bytes

Object = dict[str, Any]

MAX_REMEMBERED_BYTES: Final = 96 << 20
"""Of each form. With their stored bytes, 10,000 pods of 4.5 KB take 85 MB in JSON."""

# The form of answers in protobuf whose objects are sent as they are.
AS_PROTOBUF: Final = Format(PROTOBUF)
# After so many objects of a list others have their turn.
TURN_OBJECTS: Final = 100


class StoredForm(ABC):
    """Stored objects in one form."""

    def __init__(self, max_bytes: int = MAX_REMEMBERED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        # By resource, revision and stored bytes; the oldest first.
        self._found: dict[tuple[str, int, bytes], bytes] = {}

    @abstractmethod
    def encode(self, info: ResourceInfo, revision: int, data: bytes) -> bytes:
        """The object as it stands in a list."""

    @abstractmethod
    def enclose(
        self, info: ResourceInfo, objects: Sequence[bytes], metadata: Object
    ) -> list[bytes]:
        """A list of encoded objects, in parts."""

    @abstractmethod
    def of_event(self, info: ResourceInfo, event: str, revision: int, data: bytes) -> bytes:
        """A frame of a watch."""

    def object(self, info: ResourceInfo, revision: int, data: bytes) -> bytes:
        """A stored object in the version of `info`, as it stands in a list."""
        key = (info.full_name, revision, data)
        found = self._found.get(key)
        if found is None:
            found = self.encode(info, revision, data)
            self._remember(key, found)
        return found

    def _remember(self, key: tuple[str, int, bytes], found: bytes) -> None:
        self._found[key] = found
        self._size_bytes += len(key[2]) + len(found)
        while self._size_bytes > self._max_bytes:
            oldest = next(iter(self._found))
            self._size_bytes -= len(oldest[2]) + len(self._found.pop(oldest))

    async def of_list(self, info: ResourceInfo, items: list[Any], metadata: Object) -> list[bytes]:
        """The answer to a list, in parts; others have their turns while a long one is made."""
        objects: list[bytes] = []
        for number, (revision, data) in enumerate(items, 1):
            objects.append(self.object(info, revision, data))
            if number % TURN_OBJECTS == 0:
                await trio.lowlevel.checkpoint()
        return self.enclose(info, objects, metadata)


class StoredMessages(StoredForm):
    """Stored objects in protobuf."""

    def __init__(self, max_bytes: int = MAX_REMEMBERED_BYTES) -> None:
        super().__init__(max_bytes)
        self._encoder = protobuf.StoredEncoder()

    def encode(self, info: ResourceInfo, revision: int, data: bytes) -> bytes:
        """The message of an object."""
        message = protobuf.message_of(info.api_version, info.kind)
        if message is None:
            raise UnknownKindError(info.api_version, info.kind)
        return self._encoder.encode(message, data, revision)

    def enclose(
        self, info: ResourceInfo, objects: Sequence[bytes], metadata: Object
    ) -> list[bytes]:
        """A list's message with what stands around it."""
        return protobuf.enclose_list(info.api_version, info.list_kind, metadata, objects)

    def of_event(self, info: ResourceInfo, event: str, revision: int, data: bytes) -> bytes:
        """A frame of a watch."""
        message = self.object(info, revision, data)
        return protobuf.enclose_event(event, protobuf.enclose(info.api_version, info.kind, message))


class StoredTexts(StoredForm):
    """Stored objects in JSON."""

    def encode(self, info: ResourceInfo, revision: int, data: bytes) -> bytes:
        """The text of an object; a list says once what all of its items are, except custom ones."""
        obj = codec.decode(data, revision)
        if info.schema is None:
            obj.pop("kind", None)
            obj.pop("apiVersion", None)
        return json_bytes(obj)

    def enclose(
        self, info: ResourceInfo, objects: Sequence[bytes], metadata: Object
    ) -> list[bytes]:
        """A list's text."""
        head = {"kind": info.list_kind, "apiVersion": info.api_version, "metadata": metadata}
        parts = [json_bytes(head)[:-1], b',"items":[']
        for text in objects:
            parts += (text, b",")
        if objects:
            del parts[-1]
        return [*parts, b"]}\n"]

    def of_event(self, info: ResourceInfo, event: str, revision: int, data: bytes) -> bytes:
        """A line of a watch."""
        text = self.object(info, revision, data)
        if info.schema is None:
            about = json_bytes({"kind": info.kind, "apiVersion": info.api_version})
            text = about if text == b"{}" else about[:-1] + b"," + text[1:]
        return b"".join((b'{"type":"', event.encode(), b'","object":', text, b"}\n"))


class StoredForms:
    """The forms in which objects are sent as they are stored."""

    def __init__(self) -> None:
        self._forms: dict[Format, StoredForm] = {
            AS_PROTOBUF: StoredMessages(),
            AS_JSON: StoredTexts(),
        }

    def get(self, form: Format) -> StoredForm | None:
        """What has objects in this form; None: it is made for each answer."""
        return self._forms.get(form)


def gathered(parts: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    """The same bytes in pieces of about a size."""
    piece: list[bytes] = []
    size = 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= size_bytes:
            yield b"".join(piece)
            piece.clear()
            size = 0
    if piece:
        yield b"".join(piece)
