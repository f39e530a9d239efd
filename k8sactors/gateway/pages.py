"""What the server tells of itself, next to its objects: discovery, OpenAPI, health.

Documents are made when they are first asked for, and kept until the scheme changes. Each has an
ETag, the hash of its bytes, so that a client that has it is answered with 304.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs

import attrs

from k8sactors.api import errors
from k8sactors.api.errors import StatusError
from k8sactors.api.scheme import Scheme
from k8sactors.gateway import discovery
from k8sactors.gateway.health import HealthChecks
from k8sactors.gateway.negotiation import (
    DISCOVERY,
    JSON,
    OPENAPI_V2,
    OPENAPI_V3,
    PAGES,
    Format,
    Offer,
    negotiate,
)
from k8sactors.gateway.openapi import documents
from k8sactors.gateway.openapi.protobuf import encode_document
from k8sactors.gateway.representation import content_type, encode, form_of
from raftstore.http import Exchange

Object = dict[str, Any]
Headers = list[tuple[bytes, bytes]]

_PLAIN: Final = b"text/plain; charset=utf-8"
_OPENAPI_V2: Final = "/openapi/v2"
_OPENAPI_V3: Final = "/openapi/v3"
# Objects lie deeper than the pages of discovery.
_DISCOVERY_SLASHES: Final = 3
_OK: Final = 200
_NOT_MODIFIED: Final = 304


@attrs.frozen
class _Document:
    content_type: bytes
    data: bytes
    etag: bytes = attrs.field(init=False)

    @etag.default
    def _hash(self) -> bytes:
        return b'"%s"' % hashlib.sha512(self.data).hexdigest().upper().encode()


class Pages:
    """The pages of a server with this scheme; `check_store` raises StatusError without a store."""

    def __init__(self, scheme: Scheme, check_store: Callable[[], Awaitable[None]]) -> None:
        self._scheme = scheme
        self._health = HealthChecks({"ping": _ping, "etcd": check_store})
        self._documents: dict[tuple[str, Format], _Document] = {}
        self._generation = scheme.generation

    async def serve(self, exchange: Exchange, path: str) -> bool:
        """Answer what is not about objects; False: it is, or nothing is there.

        Raises:
            StatusError: 405, a page can only be read; 406, not in the form that the client wants.
        """
        if path.startswith("/api") and path.count("/") > _DISCOVERY_SLASHES:
            return False
        document = self._document(path, exchange.head.get(b"accept"))
        if document is None:
            return await self._serve_health(exchange, path)
        _check_method(exchange)
        headers = _cache_headers(path, exchange.head.query, document)
        if document.etag in (exchange.head.get(b"if-none-match") or b"").split(b", "):
            await exchange.respond(_NOT_MODIFIED, document.content_type, b"", headers)
        else:
            await exchange.respond(_OK, document.content_type, document.data, headers)
        return True

    async def _serve_health(self, exchange: Exchange, path: str) -> bool:
        report = await self._health.report(path, exchange.head.query)
        if report is None:
            return False
        _check_method(exchange)
        headers = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
        await exchange.respond(report.code, _PLAIN, report.text.encode(), headers)
        return True

    def _document(self, path: str, accept: bytes | None) -> _Document | None:
        if self._generation != self._scheme.generation:
            self._documents.clear()
            self._generation = self._scheme.generation
        make = self._maker(path)
        if make is None:
            return None
        form = _form(path, accept)
        kept = self._documents.get((path, form))
        if kept is None:
            kept = make(form)
            self._documents[path, form] = kept
        return kept

    def _maker(self, path: str) -> Callable[[Format], _Document] | None:
        """What makes the document at a path; None: there is none."""
        if path == "":
            return lambda form: _written(discovery.root(self._scheme, self._paths()), form)
        if path == _OPENAPI_V2:
            return self._openapi_v2
        if path == _OPENAPI_V3:
            return lambda form: _written(self._openapi_index(), form)
        if path.startswith(f"{_OPENAPI_V3}/"):
            name = path.removeprefix(f"{_OPENAPI_V3}/")
            api_version = documents.group_paths(self._scheme).get(name)
            if api_version is None:
                return None
            return lambda form: _written(documents.version_3(self._scheme, api_version), form)
        found = discovery.document(self._scheme, path)
        return None if found is None else lambda form: self._discovered(path, found, form)

    def _discovered(self, path: str, legacy: Object, form: Format) -> _Document:
        if form.conversion is None:
            return _written(legacy, form)
        api_version = form.conversion.api_version
        return _written(discovery.aggregated(self._scheme, path, api_version), form)

    def _openapi_v2(self, form: Format) -> _Document:
        document = documents.version_2(self._scheme)
        if form.media_type == JSON:
            return _written(document, form)
        # The name that clients ask by may not stand in a header.
        return _Document(form.media_type.replace("@", ".").encode(), encode_document(document))

    def _openapi_index(self) -> Object:
        """Each document's address holds its hash, so that it can be kept forever."""

        def address(name: str) -> str:
            document = self._document(f"{_OPENAPI_V3}/{name}", JSON.encode())
            assert document is not None
            return f"{_OPENAPI_V3}/{name}?hash={document.etag.decode().strip(chr(34))}"

        names = documents.group_paths(self._scheme)
        return {"paths": {name: {"serverRelativeURL": address(name)} for name in names}}

    def _paths(self) -> list[str]:
        names = documents.group_paths(self._scheme)
        openapi = [_OPENAPI_V2, _OPENAPI_V3, *(f"{_OPENAPI_V3}/{name}" for name in names)]
        return [*openapi, *self._health.paths()]


async def _ping() -> None:
    """The server answers: nothing else is to be checked."""


def _check_method(exchange: Exchange) -> None:
    if exchange.head.method != "GET":
        raise errors.method_not_allowed()


def _offer(path: str) -> Offer:
    if path in {"/api", "/apis"}:
        return DISCOVERY
    if path == _OPENAPI_V2:
        return OPENAPI_V2
    return OPENAPI_V3 if path.startswith(_OPENAPI_V3) else PAGES


def _form(path: str, accept: bytes | None) -> Format:
    """The form of a page.

    Raises:
        StatusError: 406; pages outside the API are JSON, whatever the client wants.
    """
    try:
        return negotiate(accept, _offer(path))
    except StatusError:
        if path.startswith(("/api", "/openapi")):
            raise
        return Format()


def _written(body: Object, form: Format) -> _Document:
    known = form_of(body, form)
    name = content_type(known)
    if known.conversion is not None:
        wanted = known.conversion
        name += f";g={wanted.group};v={wanted.version};as={wanted.kind}".encode()
    return _Document(name, encode(body, known))


def _cache_headers(path: str, query: str, document: _Document) -> Headers:
    """How long a document holds: forever where its address has its hash."""
    headers = [(b"etag", document.etag), (b"vary", b"Accept")]
    wanted = parse_qs(query).get("hash", [""])[0].encode() if path.startswith(_OPENAPI_V3) else b""
    if wanted and document.etag == b'"%s"' % wanted:
        return [*headers, (b"cache-control", b"public, immutable, max-age=31536000")]
    return [*headers, (b"cache-control", b"no-cache, private")]
