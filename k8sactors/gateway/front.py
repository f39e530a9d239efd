"""The application behind the port: one HTTP request becomes one message to an API server, and back.

What a client shows to say who it is goes to the API server with the request, which finds the user
and refuses what is not allowed. Over plain HTTP every client can be the cluster's administrator:
that is meant for loopback. Bodies are JSON, YAML or, of kinds that are built in, protobuf.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import attrs
import trio

from k8sactors.actors import Future
from k8sactors.api import codec, errors, protocol
from k8sactors.api.credentials import Credentials
from k8sactors.api.errors import StatusError
from k8sactors.api.json_text import as_json, load_json
from k8sactors.api.located_yaml import YamlSourceError, load_documents
from k8sactors.api.managed_fields.managers import UNKNOWN_MANAGER
from k8sactors.api.protocol import ERROR, FLOW
from k8sactors.api.scheme import Scheme
from k8sactors.api.user import ADMIN_USER, UserInfo
from k8sactors.client import Client
from k8sactors.client.errors import error_in
from k8sactors.gateway import paths, protobuf_body
from k8sactors.gateway.access import Access, access_of, credentials_of
from k8sactors.gateway.compression import packed_for
from k8sactors.gateway.negotiation import (
    APPLY,
    JSON,
    OBJECTS,
    PATCH_TYPES,
    PROTOBUF,
    YAML,
    Format,
    negotiate,
)
from k8sactors.gateway.pages import Pages
from k8sactors.gateway.paths import Target
from k8sactors.gateway.representation import (
    Representation,
    content_type,
    decode_reply,
    encode,
    encode_event,
    form_of,
    list_metadata,
    representation,
)
from k8sactors.gateway.stored_forms import StoredForms, gathered
from k8sactors.gateway.streams.dispatch import Streams
from k8sactors.gateway.warning_headers import warning_headers
from k8sactors.simulation import SECOND
from raftstore.http import BodyTooLargeError, Exchange, HttpError

Object = dict[str, Any]

GONE: Final = 410
MAX_BODY_BYTES: Final = 3 << 20
REQUEST_TIMEOUT_NS: Final = 60 * SECOND
WATCH_TIMEOUT_SECONDS: Final = 1800
MAX_UNSENT_BATCHES: Final = 1_000
"""Of a watch whose client does not read; beyond it the watch ends, and the client may come back."""
MAX_UNSENT_BYTES: Final = 16 << 20
"""Of such a watch, once more than `FEW_BATCHES` wait: its first batches may hold all objects."""
FEW_BATCHES: Final = 10
MAX_WHOLE_LISTS: Final = 2
"""How many lists that may be long are made at a time: each holds its objects twice meanwhile."""
PAGE_OBJECTS: Final = 500
"""What client-go asks for at a time; a list of so many is short."""
WRITE_BYTES: Final = 256 << 10
YAML_TYPES: Final = frozenset({"application/yaml", "text/yaml"})
# What the real server does with unknown fields when a client does not say.
FIELD_VALIDATION: Final = "Warn"
FIELD_MANAGER_MAX_BYTES: Final = 128
WRITES_WITH_BODY: Final = frozenset({"create", "update", "patch"})

Who = UserInfo | Credentials

# Where objects are, below what tells of them.
_OBJECTS: Final = ("/api/", "/apis/")
_PAGE_SLASHES: Final = 3


@attrs.define
class _Request:
    """A request for an object or a collection, understood as far as this is done here."""

    verb: str
    target: Target
    options: Object
    form: Format
    wanted: Representation
    body: Any


class Front:
    """The application in front of the API servers that `client` knows.

    `scheme` says which resources are served, and where. All that is asked over plain HTTP is
    `trusted`'s, a member of `system:masters`; None: plain requests, too, must show who asks.
    """

    def __init__(self, client: Client, trusted: UserInfo | None, scheme: Scheme) -> None:
        self._client = client
        self._trusted = trusted
        self._scheme = scheme
        self._forms = StoredForms()
        self._whole_lists = trio.Semaphore(MAX_WHOLE_LISTS)
        self._pages = Pages(scheme, self._check_store)
        self._streams = Streams(client)
        self._watches: dict[trio.MemorySendChannel[list[Any]], None] = {}

    def stop(self) -> None:
        """End all watches in order: their clients get the end of the body, and may come back."""
        for batches in self._watches:
            batches.close()

    async def __call__(self, exchange: Exchange) -> None:
        """Serve one request."""
        try:
            await self._answer(exchange)
        except StatusError as error:
            if not exchange.started:
                _tell_flow(exchange, error.flow_uids)
                form = _unconverted_form(exchange)
                await _respond(exchange, error.code, error.status(), form, _retry(error))

    async def _answer(self, exchange: Exchange) -> None:
        head = exchange.head
        path = head.path.rstrip("/")
        who = self._who(exchange)
        if not path.startswith(_OBJECTS) or path.count("/") <= _PAGE_SLASHES:
            asked = access_of(head.method, head.path, head.query)
            if asked.path:
                await self._serve_page(exchange, path, who, asked)
                return
        try:
            request = await self._understand(exchange, path)
        except StatusError:
            # A client without rights is told nothing else.
            await self._authorize(exchange, who, access_of(head.method, head.path, head.query))
            raise
        if request.verb == paths.WATCH:
            await self._watch(exchange, request, who)
            return
        if request.verb == paths.CONNECT:
            await self._streams.serve(exchange, request.target, who)
            return
        target, form = request.target, request.form
        if request.verb == "list":
            await self._list(exchange, request, who)
            return
        reply = await self._ask(request.verb, target, request.body, request.options, who)
        _tell_flow(exchange, protocol.flow_uids(reply))
        answer = decode_reply(reply, request.wanted, self._client.ctx.wall_ns())
        await _respond(exchange, reply[0], answer, form, warning_headers(request.verb, reply))

    async def _list(self, exchange: Exchange, request: _Request, who: Who) -> None:
        """Serve a list. Few that may be long are made at a time; many may be on their way."""
        if 0 < (request.options.get("limit") or 0) <= PAGE_OBJECTS:
            code, kind, parts = await self._list_parts(exchange, request, who)
        else:
            async with self._whole_lists:
                code, kind, parts = await self._list_parts(exchange, request, who)
        parts, headers = await packed_for(exchange, parts)
        size_bytes = sum(map(len, parts))
        if size_bytes <= WRITE_BYTES:
            await exchange.respond(code, kind, b"".join(parts), headers)
            return
        length = b"%d" % size_bytes
        about = [(b"content-type", kind), (b"content-length", length)]
        await exchange.start(code, [*about, *headers])
        for data in gathered(parts, WRITE_BYTES):
            await exchange.write(data)
        await exchange.end()

    async def _list_parts(
        self, exchange: Exchange, request: _Request, who: Who
    ) -> tuple[int, bytes, list[bytes]]:
        """Status, content type and body of the answer to a list."""
        target, form = request.target, request.form
        reply = await self._ask("list", target, None, request.options, who)
        _tell_flow(exchange, protocol.flow_uids(reply))
        stored = self._forms.get(form)
        if stored is not None and isinstance(reply[2], list):
            parts = await stored.of_list(target.info, reply[2], list_metadata(reply))
            return reply[0], content_type(form), parts
        answer = decode_reply(reply, request.wanted, self._client.ctx.wall_ns())
        known = form_of(answer, form)
        return reply[0], content_type(known), [encode(answer, known)]

    async def _understand(self, exchange: Exchange, path: str) -> _Request:
        """What a request asks of an object or a collection.

        Raises:
            StatusError: it makes no sense, or nothing is served there.
        """
        target = paths.parse_target(self._scheme, path)
        if self._streams.serves(target):
            form = Format()
            wanted = representation(target.info, form, "")
            return _Request(paths.CONNECT, target, {}, form, wanted, None)
        options = paths.parse_options(exchange.head.query)
        verb = paths.verb_of(exchange.head.method, target, options)
        options.pop("watch", None)
        offer = protobuf_body.offer_of(target.info, streams=verb == paths.WATCH)
        form = negotiate(exchange.head.get(b"accept"), offer)
        wanted = representation(target.info, form, options.pop("includeObject", ""))
        body = None
        if verb != paths.WATCH:
            body = await _body(exchange, target, verb, options)
            if verb in WRITES_WITH_BODY:
                options["fieldValidation"] = options.get("fieldValidation") or FIELD_VALIDATION
                if not options.get("fieldManager") and options.get("patchType") != APPLY:
                    options["fieldManager"] = manager_of(exchange.head.get(b"user-agent"))
        return _Request(verb, target, options, form, wanted, body)

    # Who asks, and whether they may

    def _who(self, exchange: Exchange) -> Who:
        """Whom a request is from, or what it shows of that.

        Raises:
            StatusError: 400, it impersonates no user.
        """
        credentials = credentials_of(exchange)
        if exchange.secure or self._trusted is None:
            return credentials
        if credentials.impersonation is None:
            return self._trusted
        return Credentials(subject=self._trusted, impersonation=credentials.impersonation)

    async def _authorize(self, exchange: Exchange, who: Who, asked: Access) -> list[Any] | None:
        """Ask a server whether this is allowed; the page that it has at the path itself, if any.

        Raises:
            StatusError: 401 or 403.
        """
        options = {
            "verb": asked.verb,
            "group": asked.group,
            "resource": asked.resource,
            "path": asked.path,
        }
        where = (asked.namespace, asked.name, asked.subresource)
        reply = await self._call(protocol.request(protocol.ACCESS, "", *where, None, options, who))
        _tell_flow(exchange, protocol.flow_uids(reply))
        page: list[Any] | None = reply[2]
        return page

    async def _serve_page(self, exchange: Exchange, path: str, who: Who, asked: Access) -> None:
        if who is self._trusted and await self._pages.serve(exchange, path):
            return
        page = await self._authorize(exchange, who, asked)
        if page is not None:
            if exchange.head.method != "GET":
                raise errors.method_not_allowed()
            await exchange.respond(200, page[0].encode(), page[1])
        elif not await self._pages.serve(exchange, path):
            raise errors.path_not_found()

    async def _check_store(self) -> None:
        """Read one object from the store.

        Raises:
            StatusError: the store does not answer, or no server does.
        """
        target = Target(self._scheme.stored()[0])
        await self._ask("list", target, None, {"limit": 1}, ADMIN_USER)

    async def _ask(
        self, verb: str, target: Target, body: Any, options: Object, who: Who
    ) -> list[Any]:
        """An API server's answer (`protocol`).

        Raises:
            StatusError: its refusal, or that none answered.
        """
        payload = protocol.request(
            verb,
            target.info.name,
            target.namespace or None,
            target.name or None,
            target.subresource or None,
            None if body is None else codec.encode_value(body),
            options,
            who,
        )
        return await self._call(payload)

    async def _call(self, payload: list[Any]) -> list[Any]:
        future: Future[list[Any]] = Future()
        self._client.call(payload, future.set_result, future.set_error, REQUEST_TIMEOUT_NS)
        return await future.wait()

    async def _watch(self, exchange: Exchange, request: _Request, who: Who) -> None:
        target, options = request.target, request.options
        wanted, form = request.wanted, request.form
        if target.name:
            options["fieldSelector"] = f"metadata.name={target.name}"
        options.setdefault("timeoutSeconds", WATCH_TIMEOUT_SECONDS)
        # A refusal has a status line of its own; else the head must come at once: clients wait.
        options["acknowledge"] = True
        batches, arriving = trio.open_memory_channel[list[Any]](MAX_UNSENT_BATCHES)
        self._watches[batches] = None

        sending = trio.CancelScope()
        unsent_bytes = 0

        def arrived(items: Any) -> None:
            nonlocal unsent_bytes
            unsent_bytes += size_of(items)
            try:
                batches.send_nowait(items)
            except trio.WouldBlock:
                sending.cancel()
            except trio.ClosedResourceError:
                watch.cancel()
            else:
                waiting = batches.statistics().current_buffer_used
                if waiting > FEW_BATCHES and unsent_bytes > MAX_UNSENT_BYTES:
                    sending.cancel()

        watch = self._client.watch(
            target.info.name,
            namespace=target.namespace or None,
            options=options,
            on_item=arrived,
            on_close=lambda _reason: batches.close(),
            user=who,
        )
        try:
            with sending:
                async for items in arriving:
                    unsent_bytes -= size_of(items)
                    if await self._send_events(exchange, items, wanted, form):
                        break
        finally:
            del self._watches[batches]
            watch.cancel()
            arriving.close()
        if sending.cancelled_caught:
            # The real server, too, ends the watch of a client that does not keep up.
            exchange.reset()
            return
        await _begin_stream(exchange, form)
        await exchange.end()

    async def _send_events(
        self, exchange: Exchange, items: list[Any], wanted: Representation, form: Format
    ) -> bool:
        """Send one batch; whether the stream is at its end."""
        now_ns = self._client.ctx.wall_ns()
        lines: list[bytes] = []
        ended = False
        stored = self._forms.get(form)
        for kind, revision, data in items:
            if kind == FLOW:
                _tell_flow(exchange, data)
            elif kind == ERROR:
                ended = True
                if not revision:
                    break
                error = error_in(revision, data)
                # As the real server's watch cache tells it: a watch that has begun, and its error.
                if not exchange.started and revision != GONE:
                    raise error
                lines.append(encode_event({"type": ERROR, "object": error.status()}, form))
            elif stored is not None:
                lines.append(stored.of_event(wanted.info, kind, revision, data))
            else:
                event = wanted.of_event(kind, codec.decode(data, revision), now_ns)
                lines.append(encode_event(event, form))
        await _begin_stream(exchange, form)
        if lines:
            await exchange.write(b"".join(lines))
        return ended


def size_of(items: list[Any]) -> int:
    """The bytes of the objects in a batch of events."""
    return sum([len(data) for _, _, data in items if data])


async def _body(exchange: Exchange, target: Target, verb: str, options: Object) -> Any:
    """The body as a JSON value; None: there is none.

    Raises:
        StatusError: 400, 413 or 415.
    """
    try:
        data = await exchange.body(MAX_BODY_BYTES)
    except BodyTooLargeError as error:
        text = f"Request entity too large: limit is {error.limit_bytes}"
        raise errors.request_entity_too_large(text) from error
    except HttpError as error:
        raise errors.too_many_requests(str(error)) from error
    if verb in {"get", "list"} or (not data and verb not in WRITES_WITH_BODY):
        return None
    kind = (exchange.head.get(b"content-type") or b"").decode("latin-1").partition(";")[0].strip()
    kind = kind or JSON
    if verb == "patch":
        if kind not in PATCH_TYPES:
            raise _unsupported(PATCH_TYPES)
        options["patchType"] = PATCH_TYPES[kind]
        if options["patchType"] == APPLY:
            return _load_applied(data)
    elif kind in YAML_TYPES:
        return _load_yaml(data)
    elif kind == PROTOBUF and protobuf_body.takes(target, verb):
        return protobuf_body.decode_body(data, target, verb)
    elif kind != JSON:
        takes_protobuf = protobuf_body.takes(target, verb)
        raise _unsupported((JSON, YAML, PROTOBUF) if takes_protobuf else (JSON, YAML))
    try:
        return load_json(data)
    except ValueError as error:
        text = f"the object provided is unrecognized (must be of type JSON): {error}"
        raise errors.bad_request(text) from error


def _load_applied(data: bytes) -> Any:
    """An applied configuration: YAML, or JSON, which is YAML too."""
    if data.lstrip()[:1] == b"{":
        try:
            return load_json(data)
        except ValueError:
            # Flow style of YAML looks like JSON at first.
            pass
    try:
        documents = load_documents(data.decode(), "body")
        return as_json(documents[0].data) if documents else {}
    except (YamlSourceError, ValueError) as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from error


def manager_of(user_agent: bytes | None) -> str:
    """Who sets fields by a request that does not say so: the first part of its User-Agent."""
    name = (user_agent or b"").decode("utf-8", "ignore").partition("/")[0]
    printable = "".join(character for character in name if character.isprintable())
    shortened = printable.encode()[:FIELD_MANAGER_MAX_BYTES].decode("utf-8", "ignore")
    return shortened or UNKNOWN_MANAGER


def _unsupported(accepted: Iterable[str]) -> StatusError:
    text = "the body of the request was in an unknown format - accepted media types include: "
    return errors.unsupported_media_type(text + ", ".join(accepted))


def _load_yaml(data: bytes) -> Any:
    try:
        documents = load_documents(data.decode(), "body")
        return as_json(documents[0].data) if documents else None
    except (YamlSourceError, ValueError) as error:
        text = f"the object provided is unrecognized (must be of type YAML): {error}"
        raise errors.bad_request(text) from error


def _tell_flow(exchange: Exchange, uids: list[str] | None) -> None:
    """Name the flow of a request in the headers of its answer, as the real server does."""
    if uids is not None:
        names = (b"x-kubernetes-pf-flowschema-uid", b"x-kubernetes-pf-prioritylevel-uid")
        exchange.headers = list(zip(names, (uid.encode() for uid in uids), strict=True))


def _retry(error: StatusError) -> list[tuple[bytes, bytes]]:
    seconds = error.retry_after_seconds
    return [(b"retry-after", b"%d" % seconds)] if seconds else []


async def _begin_stream(exchange: Exchange, form: Format) -> None:
    if not exchange.started:
        await exchange.start(200, [(b"content-type", content_type(form, streams=True))])


def _unconverted_form(exchange: Exchange) -> Format:
    """What a Status is written in: never converted, and JSON if nothing else is taken."""
    try:
        form = negotiate(exchange.head.get(b"accept"), OBJECTS)
    except StatusError:
        return Format()
    return attrs.evolve(form, conversion=None)


async def _respond(
    exchange: Exchange,
    code: int,
    body: Object,
    form: Format,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    known = form_of(body, form)
    parts, packed = await packed_for(exchange, [encode(body, known)])
    await exchange.respond(code, content_type(known), parts[0], [*(headers or ()), *packed])
