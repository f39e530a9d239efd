"""Get, list, deletecollection and watch: answers from the cache, or from the store when they must.

`freshness.required_freshness` decides how fresh an answer has to be; this module carries it out. A
consistent read asks a quorum for the store's revision (a few bytes), waits until the cache has
reached it, and is then served from memory (KEP-2340).
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable
from typing import Any

import msgpack

from k8sactors.api import errors, selectors
from k8sactors.api.effects import KeyState
from k8sactors.api.errors import SelectorError, StatusError
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.entries import METADATA_LABELS, Entry
from k8sactors.apiserver.feed import Feed
from k8sactors.apiserver.freshness import (
    Freshness,
    Source,
    check_list_options,
    limit_of,
    required_freshness,
)
from k8sactors.apiserver.keys import end_of, split_key
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.store import Page, Store
from k8sactors.apiserver.watchers import Scope, scope_of

PAGE_MAX = 10_000


def request_scope(resource: Resource, namespace: str, options: dict[str, Any]) -> Scope:
    """Which objects a request means.

    Raises:
        StatusError: 400 for selectors that do not parse, or ask for a field that is not indexed.
    """
    label_text, field_text = options.get("labelSelector"), options.get("fieldSelector")
    try:
        labels = selectors.parse_label_selector(label_text) if label_text else None
        fields = selectors.parse_field_selector(field_text) if field_text else None
    except SelectorError as error:
        raise errors.bad_request(str(error)) from error
    if fields is not None:
        info = resource.info
        served = info.served.field_labels
        supported = info.record.fields.labels if served is None else served
        for path in fields.paths():
            if path not in supported and path not in METADATA_LABELS:
                raise errors.bad_request(
                    f'Unable to find "{info.api_version}, Resource={info.plural}" that match label '
                    f'selector "{label_text or ""}", field selector "{field_text}": '
                    f"field label not supported: {path}"
                )
        if served is not None:
            fields = fields.renamed(served)
    return scope_of(resource.info.record.fields, namespace, labels, fields)


class Reads:
    """Serves reads."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self.store = store
        self.feed = feed

    def get(self, call: Call) -> None:
        """One object: from the store unless an older state will do."""
        demand = required_freshness(call.options)
        key = call.resource.key(call.namespace, call.name)
        if demand.source in {Source.CURRENT, Source.EXACT}:
            self.store.read(key, functools.partial(_answer_get, call), call.fail_store)
            return

        def answer() -> None:
            entry = call.resource.cache.entries.get(key)
            if entry is None:
                call.fail(errors.not_found(call.resource.info, call.name))
            else:
                call.succeed(200, entry.mod_revision, entry.data)

        self._from_cache(call, demand, answer)

    def list_objects(self, call: Call) -> None:
        """Many objects, in pages when the client wants them."""
        options = call.options
        check_list_options(options)
        scope = request_scope(call.resource, call.namespace, options)
        token = options.get("continue")
        if token:
            revision, start = decode_continue(token)
            _ListFromStore(self.store, call, scope, revision, start).next_page()
            return
        demand = required_freshness(options)
        if demand.source is Source.EXACT:
            start = call.resource.prefix(call.namespace)
            _ListFromStore(self.store, call, scope, demand.revision, start).next_page()
            return
        self._from_cache(call, demand, lambda: self._answer_list(call, scope))

    def gather(self, call: Call, use: Callable[[list[Entry]], None]) -> None:
        """All objects that a deletecollection means, as new as the store."""
        scope = request_scope(call.resource, call.namespace, call.options)
        demand = Freshness(Source.CURRENT)
        self._from_cache(call, demand, lambda: use(call.resource.cache.select(scope)))

    def when_fresh(
        self,
        demand: Freshness,
        on_ready: Callable[[], None],
        on_failed: Callable[[StatusError], None],
        on_store_error: Callable[[Any], None],
    ) -> None:
        """Call `on_ready` once the cache fulfils the demand."""
        feed = self.feed

        def wait(revision: int) -> None:
            feed.when_reached(revision, on_ready, lambda: on_failed(self._too_new(revision)))

        if demand.source is Source.CURRENT:
            self.store.current_revision(wait, on_store_error)
        else:
            wait(demand.revision if demand.source is Source.NOT_OLDER else 0)

    def _from_cache(self, call: Call, demand: Freshness, answer: Callable[[], None]) -> None:
        self.when_fresh(demand, answer, call.fail, call.fail_store)

    def _too_new(self, revision: int) -> StatusError:
        if not self.feed.ready:
            return errors.too_many_requests(
                f"storage is (re)initializing: {self.feed.last_error}", 1
            )
        return errors.too_large_version(
            f"Too large resource version: {revision}, current: {self.feed.revision}"
        )

    def _answer_list(self, call: Call, scope: Scope) -> None:
        entries = call.resource.cache.select(scope)
        revision = self.feed.revision
        limit = limit_of(call.options)
        token: str | None = None
        remaining: int | None = None
        if limit and len(entries) > limit:
            token = encode_continue(revision, entries[limit - 1].key + b"\0")
            if scope.plain:
                remaining = len(entries) - limit
            entries = entries[:limit]
        items = [[entry.mod_revision, entry.data] for entry in entries]
        call.succeed_list(revision, items, token, remaining)


class _ListFromStore:
    """A list at one revision, read from the store page by page."""

    def __init__(self, store: Store, call: Call, scope: Scope, revision: int, start: bytes) -> None:
        self.store = store
        self.call = call
        self.scope = scope
        self.revision = revision
        self.start = start
        self.items: list[list[Any]] = []
        self.limit = limit_of(call.options)
        self.prefix = call.resource.prefix(call.namespace)
        if not start.startswith(self.prefix):
            raise errors.bad_request("continue key is not valid: it belongs to another list")

    def next_page(self) -> None:
        wanted = self.limit - len(self.items) if self.limit else PAGE_MAX
        self.store.scan(
            self.start,
            end_of(self.prefix),
            revision=self.revision,
            limit=wanted,
            on_done=self._on_page,
            on_error=self.call.fail_store,
        )

    def _on_page(self, page: Page) -> None:
        indexed = self.call.resource.info.record.fields
        for state in page.items:
            if self.scope.plain or self.scope.matches(indexed, _entry_of(state)):
                self.items.append([state.mod_revision, state.value])
        if page.items:
            self.start = page.items[-1].key + b"\0"
        full = self.limit and len(self.items) >= self.limit
        if page.more and not full:
            self.next_page()
            return
        token = encode_continue(self.revision, self.start) if page.more else None
        remaining = page.total - len(page.items) if page.more and self.scope.plain else None
        self.call.succeed_list(self.revision, self.items, token, remaining)


def _entry_of(state: KeyState) -> Entry:
    _, namespace, name = split_key(state.key)
    return Entry(state.key, namespace, name, state.value, state.mod_revision, state.lease)


def _answer_get(call: Call, state: KeyState | None, _revision: int) -> None:
    if state is None:
        call.fail(errors.not_found(call.resource.info, call.name))
    else:
        call.succeed(200, state.mod_revision, state.value)


def encode_continue(revision: int, start: bytes) -> str:
    """An opaque token: the revision of the list and the key to continue from."""
    packed: bytes = msgpack.packb([revision, start])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_continue(token: str) -> tuple[int, bytes]:
    """The inverse.

    Raises:
        StatusError: 400, it is no token of ours.
    """
    try:
        revision, start = msgpack.unpackb(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(revision), bytes(start)
    except (ValueError, TypeError, binascii.Error, msgpack.UnpackException) as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from error
