"""The same methods as JSON over HTTP, in the mapping that grpc-gateway gives them in etcd 3.6.

``POST`` with a JSON object; names as in the protobuf files, bytes in base64, 64-bit integers as
strings, enumerations by name, fields of value zero left out. Streams answer with one
``{"result": ...}`` per line. An error is ``{"code": number, "message": text}``.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import unquote

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from raftstore.errors import INVALID_ARGUMENT, RaftStoreError, Status, StoreError
from raftstore.gateway.codes import HTTP_STATUS, NUMBERS, status_of
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.json_bytes import check_bytes
from raftstore.gateway.method import UNARY, Method
from raftstore.gateway.methods import BY_HTTP_PATH
from raftstore.gateway.sizes import MAX_MESSAGE_BYTES, store_error, too_large
from raftstore.gateway.streams import HANDLERS
from raftstore.http import Exchange, HttpError

JSON: Final = b"application/json"
# Base64 and field names take room that the same message does not take in protobuf.
MAX_BODY_BYTES: Final = MAX_MESSAGE_BYTES * 3 // 2
METHOD_NOT_ALLOWED: Final = 405
NOT_FOUND: Final = 404
WHITESPACE: Final = " \t\r\n"

_decoder: Final = json.JSONDecoder()


async def handle(endpoint: Endpoint, exchange: Exchange) -> None:
    """Answer a JSON request."""
    method = BY_HTTP_PATH.get(unquote(exchange.head.path))
    if method is None:
        await _respond(exchange, NOT_FOUND, Status("NotFound", "Not Found"))
    elif exchange.head.method != "POST":
        text = "Method Not Allowed"
        await _respond(exchange, METHOD_NOT_ALLOWED, Status("Unimplemented", text))
    elif method.kind == UNARY:
        await _unary(endpoint, exchange, method)
    else:
        await _stream(endpoint, exchange, method)


async def _unary(endpoint: Endpoint, exchange: Exchange, method: Method) -> None:
    try:
        request = _parse_text(await _body(exchange), method)
        answer = _dump(_plain(await endpoint.call(method, request)))
        with endpoint.unread.held(len(answer)):
            await exchange.respond(200, JSON, answer)
    except RaftStoreError as error:
        status = status_of(error)
        await _respond(exchange, HTTP_STATUS[status.code], status)


async def _body(exchange: Exchange) -> bytes:
    try:
        with exchange.arriving():
            return await exchange.body(MAX_BODY_BYTES)
    except HttpError as error:
        raise store_error(error) from error


async def _stream(endpoint: Endpoint, exchange: Exchange, method: Method) -> None:
    requests = _Requests(exchange, method)

    async def send(response: Any) -> None:
        if not exchange.started:
            await exchange.start(200, [(b"content-type", JSON)])
        await exchange.write(_dump({"result": _plain(response)}) + b"\n")

    try:
        await HANDLERS[method.path](endpoint, requests.receive, send)
    except RaftStoreError as error:
        status = status_of(error)
        if not exchange.started:
            await _respond(exchange, HTTP_STATUS[status.code], status)
            return
        await exchange.write(_dump({"error": _error(status)}) + b"\n")
    if not exchange.started:
        await exchange.start(200, [(b"content-type", JSON)])
    await exchange.end()


class _Requests:
    """JSON values one after the other, as they come in."""

    def __init__(self, exchange: Exchange, method: Method) -> None:
        self._exchange = exchange
        self._method = method
        self._text = b""

    async def receive(self) -> Any:
        """The next request; None at the end."""
        while True:
            try:
                chunk = await self._exchange.read_some()
            except HttpError as error:
                raise store_error(error) from error
            self._text += chunk
            if len(self._text) > MAX_BODY_BYTES:
                raise too_large(len(self._text), MAX_BODY_BYTES)
            request = self._next(at_end=not chunk)
            if request is not None or not chunk:
                return request

    def _next(self, *, at_end: bool) -> Any:
        text = _decode(self._text).lstrip(WHITESPACE) if self._complete(at_end) else ""
        if not text:
            return None
        try:
            value, end = _decoder.raw_decode(text)
        except (ValueError, RecursionError) as error:
            if at_end:
                raise _malformed(error) from error
            return None
        self._text = text[end:].encode()
        return _parse(value, self._method)

    def _complete(self, at_end: bool) -> bool:
        # A value ends with a brace; before one has come there is no use in looking.
        return at_end or b"}" in self._text


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _malformed(error) from error


def _parse_text(data: bytes, method: Method) -> Any:
    text = _decode(data)
    if not text.strip(WHITESPACE):
        return method.request()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(error) from error
    return _parse(value, method)


def _parse(value: Any, method: Method) -> Any:
    if not isinstance(value, dict):
        raise StoreError(INVALID_ARGUMENT, "the request is no JSON object")
    try:
        check_bytes(value, method.request.DESCRIPTOR)
        return ParseDict(value, method.request(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _malformed(error) from error


def _malformed(error: Exception) -> StoreError:
    if isinstance(error, RecursionError):
        # Python's own words differ from version to version.
        return StoreError(INVALID_ARGUMENT, "the request is nested too deep")
    return StoreError(INVALID_ARGUMENT, str(error).splitlines()[0] if str(error) else "bad JSON")


def _plain(response: Any) -> Any:
    return MessageToDict(response, preserving_proto_field_name=True)


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _error(status: Status) -> dict[str, Any]:
    return {"code": NUMBERS[status.code], "message": status.message}


async def _respond(exchange: Exchange, http_status: int, status: Status) -> None:
    await exchange.respond(http_status, JSON, _dump(_error(status)))
