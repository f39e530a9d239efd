"""Serves the custom resources that are defined, and looks after their definitions.

Every server follows the definitions in its own watch cache. When one comes, its names are judged;
when they are accepted, its kind is served; a moment later it counts as established. When one is
deleted, its objects are deleted, and then the definition is let go. All servers try; what another
one has done already fails on its resourceVersion. Source: the controllers of
apiextensions-apiserver (`pkg/controller/status`, `establish`, `finalizer`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import attrs

from k8sactors.actors import Context
from k8sactors.api import codec
from k8sactors.api.kind import Kind
from k8sactors.api.meta import condition_is, format_time
from k8sactors.api.protocol import request
from k8sactors.api.user import API_SERVER_USER
from k8sactors.apiextensions.definition import RESOURCE
from k8sactors.apiextensions.kinds import kind_of
from k8sactors.apiextensions.names import (
    CLEANUP_FINALIZER,
    ESTABLISHED,
    NAMES_ACCEPTED,
    established,
    is_served,
    judged,
)
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.feed import Feed
from k8sactors.apiserver.webhooks.calling import Caller
from k8sactors.apiserver.webhooks.conversion import ConversionWebhook
from k8sactors.simulation import MILLISECOND, SECOND

Object = dict[str, Any]
# Between serving a kind and calling it established: the other servers serve it by then.
ESTABLISH_DELAY_NS: Final = 100 * MILLISECOND
CLEANUP_INTERVAL_NS: Final = SECOND
RETRY_NS: Final = SECOND
LIST_PAGE: Final = 500
_FAILURE: Final = 400
_UNAVAILABLE: Final = 500


class KindServer(Protocol):
    """What serves kinds: the API server."""

    def add_kind(self, kind: Kind) -> None:
        """Serve one more kind."""

    def replace_kind(self, old: Kind, new: Kind) -> None:
        """Serve another form of a kind."""

    def remove_kind(self, kind: Kind) -> None:
        """Serve a kind no longer."""


@attrs.define
class _Definition:
    """What this server knows of one definition."""

    revision: int
    obj: Object
    # What the served kind was made of, and the kind; None: it is not served.
    made_of: Any = None
    kind: Kind | None = None
    served_since_ns: int = 0
    # The revision for which a write is under way or was refused.
    written_revision: int = 0
    is_cleaning: bool = False


class _Answer:
    """The origin of a request of the server's own: hands its answer on."""

    def __init__(self, on_answer: Callable[[list[Any]], None]) -> None:
        self._on_answer = on_answer

    def reply(self, kind: str, payload: Any) -> None:
        """The answer to the request."""
        del kind
        self._on_answer(payload)


class CustomResources:
    """Follows the definitions in `feed`; `submit` takes requests of the server's own."""

    def __init__(
        self,
        server: KindServer,
        feed: Feed,
        environment: Environment,
        submit: Callable[..., None],
    ) -> None:
        self._server = server
        self._environment = environment
        self._context: Context = environment.context
        self._caller = Caller(environment)
        self._submit = submit
        self._cache = feed.add_resource(RESOURCE)
        self._cache.on_change = self._sync
        self._definitions: dict[bytes, _Definition] = {}

    def _sync(self) -> None:
        """Take over what has changed in the cache."""
        entries = self._cache.entries
        for key in [key for key in self._definitions if key not in entries]:
            self._stop(self._definitions.pop(key))
        for key, entry in sorted(entries.items()):
            known = self._definitions.get(key)
            if known is not None and known.revision == entry.mod_revision:
                continue
            obj = codec.decode(entry.data, entry.mod_revision)
            if known is not None and known.obj["metadata"]["uid"] != obj["metadata"]["uid"]:
                self._stop(known)
                known = None
            if known is None:
                known = self._definitions[key] = _Definition(entry.mod_revision, obj)
            known.revision, known.obj = entry.mod_revision, obj
            self._serve(known)
        for known in self._definitions.values():
            self._look_after(known)

    def _serve(self, known: _Definition) -> None:
        if not is_served(known.obj):
            self._stop(known)
            return
        metadata = known.obj["metadata"]
        names = known.obj["status"].get("acceptedNames")
        made_of = (known.obj["spec"], names, "deletionTimestamp" in metadata)
        if known.made_of == made_of:
            return
        kind, old = self._kind_of(known.obj), known.kind
        known.made_of, known.kind = made_of, kind
        if old is None:
            known.served_since_ns = self._context.now_ns()
            self._server.add_kind(kind)
        else:
            self._server.replace_kind(old, kind)

    def _kind_of(self, definition: Object) -> Kind:
        conversion = definition["spec"].get("conversion") or {}
        if conversion.get("strategy") != "Webhook":
            return kind_of(definition)
        webhook = conversion.get("webhook") or {}
        return kind_of(
            definition, ConversionWebhook(self._environment, self._caller, webhook).convert
        )

    def _stop(self, known: _Definition) -> None:
        if known.kind is not None:
            self._server.remove_kind(known.kind)
            known.kind = known.made_of = None

    # --- conditions

    def _look_after(self, known: _Definition) -> None:
        if known.written_revision == known.revision:
            return
        if "deletionTimestamp" in known.obj["metadata"]:
            self._clean_up(known)
            return
        status = known.obj.get("status") or {}
        now = format_time(self._context.wall_ns())
        group = known.obj["spec"]["group"]
        others = [
            each.obj
            for each in self._definitions.values()
            if each is not known and each.obj["spec"]["group"] == group
        ]
        wanted = judged(known.obj, others, now)
        if wanted == status and condition_is(known.obj, NAMES_ACCEPTED):
            if condition_is(known.obj, ESTABLISHED):
                return
            left_ns = known.served_since_ns + ESTABLISH_DELAY_NS - self._context.now_ns()
            if left_ns > 0:
                self._context.after(left_ns, partial(self._look_after_again, known, known.revision))
                return
            wanted = established(known.obj, now)
        if wanted != status:
            self._write(known, {**known.obj, "status": wanted}, "status")

    def _look_after_again(self, known: _Definition, revision: int) -> None:
        if known.revision == revision and self._is_current(known):
            self._look_after(known)

    def _is_current(self, known: _Definition) -> bool:
        return any(each is known for each in self._definitions.values())

    def _write(self, known: _Definition, obj: Object, subresource: str | None = None) -> None:
        revision = known.written_revision = known.revision

        def answered(payload: list[Any]) -> None:
            # A conflict means that there is news, which arrives by itself.
            if payload[0] >= _UNAVAILABLE and known.revision == revision:
                known.written_revision = 0
                again = partial(self._look_after_again, known, revision)
                self._context.after(RETRY_NS, again)

        name = obj["metadata"]["name"]
        body = codec.encode_value(obj)
        payload = request("update", RESOURCE, None, name, subresource, body)
        self._submit(_Answer(answered), payload, API_SERVER_USER)

    # --- deletion

    def _clean_up(self, known: _Definition) -> None:
        if known.is_cleaning or CLEANUP_FINALIZER not in _finalizers(known.obj):
            return
        if known.kind is None:
            # It was never served: there is nothing of it.
            self._let_go(known)
            return
        known.is_cleaning = True
        self._list(known)

    def _list(self, known: _Definition) -> None:
        if known.kind is None or not self._is_current(known):
            known.is_cleaning = False
            return

        def listed(payload: list[Any]) -> None:
            if payload[0] >= _FAILURE:
                self._context.after(CLEANUP_INTERVAL_NS, partial(self._list, known))
                return
            objects = [codec.decode(data, revision) for revision, data in payload[2]]
            if objects:
                self._delete(known, objects)
            else:
                known.is_cleaning = False
                self._let_go(known)

        payload = request("list", self._resource(known), options={"limit": LIST_PAGE})
        self._submit(_Answer(listed), payload, API_SERVER_USER)

    def _resource(self, known: _Definition) -> str:
        assert known.kind is not None
        return known.kind.infos()[0].name

    def _delete(self, known: _Definition, objects: list[Object]) -> None:
        """Delete the objects one after the other; then look again what is left."""
        left = [each for each in objects if "deletionTimestamp" not in each["metadata"]]
        if not left or known.kind is None:
            self._context.after(CLEANUP_INTERVAL_NS, partial(self._list, known))
            return
        metadata, rest = left[0]["metadata"], left[1:]

        def deleted(_payload: list[Any]) -> None:
            if rest:
                self._delete(known, rest)
            else:
                self._list(known)

        payload = request(
            "delete", self._resource(known), metadata.get("namespace"), metadata["name"]
        )
        self._submit(_Answer(deleted), payload, API_SERVER_USER)

    def _let_go(self, known: _Definition) -> None:
        kept = [each for each in _finalizers(known.obj) if each != CLEANUP_FINALIZER]
        metadata = {**known.obj["metadata"], "finalizers": kept}
        self._write(known, {**known.obj, "metadata": metadata})


def _finalizers(obj: Object) -> list[str]:
    return list(obj["metadata"].get("finalizers") or ())
