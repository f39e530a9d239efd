"""The ASGI application: one HTTP request becomes one message to an API server, and back.

Whoever reaches the port is the cluster's administrator: it is meant for loopback. Bodies are JSON
(or YAML); protobuf is refused with 415, upon which clients that prefer it say JSON instead.
"""

from __future__ import annotations

import json
from typing import Any, Final

import trio
import yaml

from k8sactors.actors import Future
from k8sactors.api import codec, errors
from k8sactors.api.errors import StatusError
from k8sactors.apiserver.protocol import ERROR
from k8sactors.client import Client
from k8sactors.client.errors import error_in
from k8sactors.client.pool import SECOND_NS
from k8sactors.gateway import discovery, paths
from k8sactors.gateway.paths import Target
from raftstore.errors import RESOURCE_EXHAUSTED, StoreError
from raftstore.gateway.counting import Counters
from raftstore.gateway.exchange import Budget, Exchange, Receive, Send

Object = dict[str, Any]

JSON: Final = b"application/json"
YAML: Final = b"application/yaml"
PLAIN: Final = b"text/plain; charset=utf-8"
PROTOBUF_OPENAPI: Final = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
MAX_BODY_BYTES: Final = 3 << 20
REQUEST_TIMEOUT_NS: Final = 60 * SECOND_NS
WATCH_TIMEOUT_SECONDS: Final = 1800
MAX_UNSENT_BATCHES: Final = 1_000
"""Of a watch whose client does not read; beyond it the watch ends, and the client may come back."""
PATCH_TYPES: Final = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}
YAML_TYPES: Final = frozenset({"application/yaml", "text/yaml"})
NEED_THE_STORE: Final = frozenset({"/readyz", "/healthz/etcd", "/livez/etcd", "/readyz/etcd"})
PAGES: Final = NEED_THE_STORE | {
    "/healthz",
    "/healthz/ping",
    "/livez",
    "/livez/ping",
    "/readyz/ping",
    "/openapi/v2",
}
WRITES_WITH_BODY: Final = frozenset({"create", "update", "patch"})


class Front:
    """The application in front of the API servers that `client` knows."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._budget = Budget()
        self.counters = Counters()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            await Exchange(scope, receive, send, self._budget).run(self._handle)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})

    def close(self) -> None:
        """Nothing is kept beyond a request."""

    async def _handle(self, exchange: Exchange) -> None:
        try:
            await self._answer(exchange)
        except StatusError as error:
            if not exchange.started:
                await _respond(exchange, error.code, error.status(), _retry(error))

    async def _answer(self, exchange: Exchange) -> None:
        path = exchange.path.rstrip("/")
        if await self._about(exchange, path):
            return
        if not path.startswith(("/api/", "/apis/")):
            raise errors.path_not_found()
        target = paths.parse_target(path)
        options = paths.parse_options(exchange.query)
        verb = paths.verb_of(exchange.method, target, options)
        options.pop("watch", None)
        if verb == paths.WATCH:
            await self._watch(exchange, target, options)
            return
        body = await _body(exchange, verb, options)
        code, answer = await self._ask(verb, target, body, options)
        await _respond(exchange, code, answer)

    async def _about(self, exchange: Exchange, path: str) -> bool:
        """Answer what is not about objects; False: it is."""
        found = discovery.document(path)
        if found is None and path not in PAGES:
            return False
        if exchange.method != "GET":
            raise errors.method_not_allowed()
        if found is not None:
            await _respond(exchange, 200, found)
        elif path == "/openapi/v2":
            await _respond_openapi(exchange)
        else:
            if path in NEED_THE_STORE:
                namespaces = paths.parse_target("/api/v1/namespaces")
                await self._ask("list", namespaces, None, {"limit": 1})
            await exchange.respond(200, PLAIN, b"ok")
        return True

    async def _ask(
        self, verb: str, target: Target, body: Any, options: Object
    ) -> tuple[int, Object]:
        """Code and object of an API server's answer.

        Raises:
            StatusError: its refusal, or that none answered.
        """
        payload = [
            verb,
            target.info.name,
            target.namespace or None,
            target.name or None,
            target.subresource or None,
            None if body is None else codec.encode_value(body),
            {"user": self._client.user, **options},
        ]
        future: Future[list[Any]] = Future()
        self._client.call(payload, future.set_result, future.set_error, REQUEST_TIMEOUT_NS)
        reply = await future.wait()
        return reply[0], _object(target, reply)

    async def _watch(self, exchange: Exchange, target: Target, options: Object) -> None:
        if target.name:
            options["fieldSelector"] = f"metadata.name={target.name}"
        options.setdefault("timeoutSeconds", WATCH_TIMEOUT_SECONDS)
        # A refusal has a status line of its own; else the head must come at once: clients wait.
        options["acknowledge"] = True
        batches, arriving = trio.open_memory_channel[list[Any]](MAX_UNSENT_BATCHES)

        def arrived(items: Any) -> None:
            try:
                batches.send_nowait(items)
            except trio.WouldBlock:
                # The real server, too, ends the watch of a client that does not keep up.
                batches.close()
                watch.cancel()
            except trio.ClosedResourceError:
                watch.cancel()

        watch = self._client.watch(
            target.info.name,
            namespace=target.namespace or None,
            options=options,
            on_item=arrived,
            on_close=lambda _reason: batches.close(),
        )
        try:
            async for items in arriving:
                if await self._send_events(exchange, items):
                    break
        finally:
            watch.cancel()
            arriving.close()
        await _begin_stream(exchange)
        await exchange.write(b"", more=False)

    async def _send_events(self, exchange: Exchange, items: list[Any]) -> bool:
        """Send one batch; whether the stream is at its end."""
        lines: list[bytes] = []
        ended = False
        for kind, revision, data in items:
            if kind == ERROR:
                ended = True
                if not revision:
                    break
                error = error_in(revision, data)
                if not exchange.started:
                    raise error
                lines.append(_event(ERROR, error.status()))
            else:
                lines.append(_event(kind, codec.decode(data, revision)))
        await _begin_stream(exchange)
        if lines:
            await exchange.write(b"".join(lines))
        return ended


def _object(target: Target, reply: list[Any]) -> Object:
    body = reply[2]
    if not isinstance(body, list):
        return {} if body is None else codec.decode(body, reply[1])
    metadata: Object = {"resourceVersion": str(reply[1])}
    if reply[3]:
        metadata["continue"] = reply[3]
    if reply[4] is not None:
        metadata["remainingItemCount"] = reply[4]
    items = [codec.decode(data, revision) for revision, data in body]
    for item in items:
        # A list says once what all of its items are.
        item.pop("kind", None)
        item.pop("apiVersion", None)
    info = target.info
    return {
        "kind": info.list_kind,
        "apiVersion": info.api_version,
        "metadata": metadata,
        "items": items,
    }


async def _body(exchange: Exchange, verb: str, options: Object) -> Any:
    """The body as a JSON value; None: there is none.

    Raises:
        StatusError: 400, 413 or 415.
    """
    try:
        data = await exchange.body(MAX_BODY_BYTES)
    except StoreError as error:
        if error.code == RESOURCE_EXHAUSTED and "larger" in error.message:
            text = f"Request entity too large: limit is {MAX_BODY_BYTES}"
            raise errors.request_entity_too_large(text) from error
        raise errors.too_many_requests(str(error)) from error
    if verb in {"get", "list"} or (not data and verb not in WRITES_WITH_BODY):
        return None
    kind = exchange.headers.get(b"content-type", JSON).decode("latin-1").partition(";")[0].strip()
    kind = kind or JSON.decode()
    if verb == "patch":
        if kind not in PATCH_TYPES:
            accepted = ", ".join(PATCH_TYPES)
            text = f"the body of the request was in an unknown format - accepted: {accepted}"
            raise errors.unsupported_media_type(text)
        options["patchType"] = PATCH_TYPES[kind]
    elif kind in YAML_TYPES:
        return _load_yaml(data)
    elif kind != "application/json":
        text = f"the body of the request was in an unknown format - accepted: {JSON.decode()}"
        raise errors.unsupported_media_type(text)
    try:
        return json.loads(data)
    except ValueError as error:
        text = f"the object provided is unrecognized (must be of type JSON): {error}"
        raise errors.bad_request(text) from error


def _load_yaml(data: bytes) -> Any:
    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        text = f"the object provided is unrecognized (must be of type YAML): {error}"
        raise errors.bad_request(text) from error


def _event(kind: str, obj: Object) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"


def _retry(error: StatusError) -> list[tuple[bytes, bytes]]:
    seconds = error.retry_after_seconds
    return [(b"retry-after", b"%d" % seconds)] if seconds else []


async def _begin_stream(exchange: Exchange) -> None:
    if not exchange.started:
        await exchange.start(200, [(b"content-type", JSON)])


async def _respond_openapi(exchange: Exchange) -> None:
    """A document without definitions: objects are judged by the server, strictly, when they come.

    Empty, it is the same in protobuf, which is what `kubectl` asks for.
    """
    # Older clients write an @ into its name, which no media type may contain.
    if PROTOBUF_OPENAPI in exchange.headers.get(b"accept", b"").replace(b"@", b"."):
        await exchange.respond(200, PROTOBUF_OPENAPI, b"")
        return
    about = {"title": "Kubernetes", "version": discovery.version()["gitVersion"]}
    await _respond(exchange, 200, {"swagger": "2.0", "info": about, "paths": {}})


async def _respond(
    exchange: Exchange, code: int, body: Object, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    content_type = JSON
    if YAML in exchange.headers.get(b"accept", b""):
        content_type, data = YAML, yaml.safe_dump(body).encode()
    else:
        data = json.dumps(body, separators=(",", ":")).encode() + b"\n"
    length = (b"content-length", b"%d" % len(data))
    await exchange.start(code, [(b"content-type", content_type), length, *(headers or [])])
    await exchange.write(data, more=False)
