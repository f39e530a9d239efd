"""From what an API server answers to what goes over the wire: conversion and encoding.

An answer is an object, a list of objects or a Status. Objects are converted as the client wants
them (a Table, their metadata alone), and written in the media type that was negotiated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson
import yaml

from k8sactors.api import codec, protobuf
from k8sactors.api.columns import DEFAULT, Column
from k8sactors.api.errors import not_acceptable
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.table import (
    ONLY_METADATA,
    check_include_object,
    partial_metadata,
    partial_metadata_list,
    table,
)
from k8sactors.gateway.negotiation import (
    METADATA,
    METADATA_LIST,
    PROTOBUF,
    TABLE,
    YAML,
    Conversion,
    Format,
)

Object = dict[str, Any]
_STATUS: Final = "Status"
_COMPACT: Final = (",", ":")
# The form of answers in JSON whose objects are sent as they are.
AS_JSON: Final = Format()


@attrs.define
class Representation:
    """How one request's answers are converted; a watch has sent a table's columns only once."""

    info: ResourceInfo
    conversion: Conversion | None = None
    # What the rows of a table hold next to their cells.
    include: str = ONLY_METADATA
    _columns_sent: bool = attrs.field(default=False, init=False)

    def of_object(self, obj: Object, now_ns: int) -> Object:
        """One object, as it is wanted.

        Raises:
            StatusError: 406, it cannot be a list.
        """
        if self.conversion is None or obj.get("kind") == _STATUS:
            return obj
        if self.conversion.kind == METADATA:
            return partial_metadata(self.conversion.api_version, obj)
        if self.conversion.kind == METADATA_LIST:
            raise self._mismatch("not a list", str(obj.get("kind", self.info.kind)))
        version = (obj.get("metadata") or {}).get("resourceVersion")
        metadata = {"resourceVersion": version} if version else {}
        return self._table([obj], metadata, now_ns)

    def of_list(self, items: list[Object], metadata: Object, now_ns: int) -> Object:
        """A list of objects, as it is wanted.

        Raises:
            StatusError: 406, it cannot be one object.
        """
        if self.conversion is None:
            # A list says once what all of its items are; custom resources say it themselves.
            for item in items if self.info.schema is None else ():
                item.pop("kind", None)
                item.pop("apiVersion", None)
            return {
                "kind": self.info.list_kind,
                "apiVersion": self.info.api_version,
                "metadata": metadata,
                "items": items,
            }
        if self.conversion.kind == METADATA_LIST:
            return partial_metadata_list(self.conversion.api_version, items, metadata)
        if self.conversion.kind == METADATA:
            raise self._mismatch("a list", self.info.list_kind)
        return self._table(items, metadata, now_ns)

    def of_event(self, kind: str, obj: Object, now_ns: int) -> Object:
        """An event of a watch."""
        wanted = self.of_object(obj, now_ns)
        if wanted is not obj:
            self._columns_sent = True
        return {"type": kind, "object": wanted}

    def _table(self, objects: list[Object], metadata: Object, now_ns: int) -> Object:
        assert self.conversion is not None
        return table(
            self.conversion.api_version,
            self._columns(objects),
            objects,
            metadata,
            now_ns,
            include=self.include,
            headers=not self._columns_sent,
        )

    def _columns(self, objects: list[Object]) -> tuple[Column, ...]:
        """Of the resource; a subresource of another kind (a Scale) shows what any object has."""
        if objects and objects[0].get("kind", self.info.kind) != self.info.kind:
            return DEFAULT
        return self.info.columns

    def _mismatch(self, what: str, kind: str) -> Exception:
        assert self.conversion is not None
        package = self.info.group.partition(".")[0] or "core"
        return not_acceptable(
            f"you requested {self.conversion.kind}, but the requested object is {what} "
            f"(*{package}.{kind})"
        )


def representation(info: ResourceInfo, form: Format, include: str) -> Representation:
    """How the answers about a resource are converted.

    Raises:
        StatusError: 400, `include` is not what rows can hold.
    """
    if form.conversion is not None and form.conversion.kind == TABLE:
        return Representation(info, form.conversion, check_include_object(include))
    return Representation(info, form.conversion)


def decode_reply(reply: list[Any], wanted: Representation, now_ns: int) -> Object:
    """The object in an API server's answer, as it is wanted.

    Raises:
        StatusError: 406, it cannot be that.
    """
    body = reply[2]
    if not isinstance(body, list):
        return {} if body is None else wanted.of_object(codec.decode(body, reply[1]), now_ns)
    items = [codec.decode(data, revision) for revision, data in body]
    return wanted.of_list(items, list_metadata(reply), now_ns)


def list_metadata(reply: list[Any]) -> Object:
    """The metadata of the list in an API server's answer."""
    metadata: Object = {"resourceVersion": str(reply[1])}
    if reply[3]:
        metadata["continue"] = reply[3]
    if reply[4] is not None:
        metadata["remainingItemCount"] = reply[4]
    return metadata


def form_of(body: Mapping[str, Any], form: Format) -> Format:
    """The form in which an answer goes out: what has no protobuf form is JSON."""
    if form.media_type != PROTOBUF:
        return form
    known = protobuf.has_form(body.get("apiVersion") or "", body.get("kind") or "")
    return form if known else Format()


def encode(body: Object, form: Format) -> bytes:
    """The bytes of an answer in the media type of its format."""
    if form.media_type == PROTOBUF:
        return protobuf.encode(body)
    if form.media_type == YAML:
        return yaml.safe_dump(body).encode()
    if form.pretty:
        return json.dumps(body, indent=2, ensure_ascii=False).encode() + b"\n"
    return json_bytes(body) + b"\n"


def json_bytes(body: Object) -> bytes:
    """The shortest text of an object."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        # A number of more than 64 bits: rare, and the standard library's can write it.
        return json.dumps(body, separators=_COMPACT).encode()


def encode_event(event: Object, form: Format) -> bytes:
    """A line of a watch, or a frame of one in protobuf."""
    if form.media_type == PROTOBUF:
        return protobuf.encode_frame(event["type"], event["object"])
    return json_bytes(event) + b"\n"


def content_type(form: Format, *, streams: bool = False) -> bytes:
    """The header that names the media type."""
    framed = streams and form.media_type == PROTOBUF
    return f"{form.media_type};stream=watch".encode() if framed else form.media_type.encode()
