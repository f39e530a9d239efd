"""The observer: an actor that sees every version of every object of interest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import trio

from k8sactors.actors import Actor, Future
from k8sactors.api import codec, protocol
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import BOOKMARK, DELETED, ERROR
from k8sactors.api.user import ADMIN_USER
from k8sactors.client import Client
from k8sactors.simulation import SECOND
from tests.golden.recordings import KINDS, WATCHED

Object = dict[str, Any]
Sink = Callable[[float, str, str, Object, Object | None], None]

ONE_DAY_S = 86_400


class Observer(Actor):
    """Watches all kinds, keeps the newest objects, and carries the operator's client."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._client: Client
        self.store: dict[str, dict[tuple[str | None, str], Object]] = {k: {} for k in WATCHED}
        self.sinks: list[Sink] = []
        self.started = trio.Event()

    def on_start(self) -> None:
        self._client = Client(self.ctx, [self._server], ADMIN_USER)
        self.started.set()

    def watch(self) -> None:
        """Begin to follow everything; the server answers by now."""
        for kind in WATCHED:
            self._client.watch(
                KINDS[kind].name,
                namespace=None,
                options={"resourceVersion": "0", "timeoutSeconds": ONE_DAY_S},
                on_item=lambda payload, kind=kind: self._received(kind, payload),
                on_close=lambda reason, kind=kind: self._lost(kind, reason),
            )

    def now_s(self) -> float:
        """Virtual time, in seconds."""
        return self.ctx.now_ns() / SECOND

    def _lost(self, kind: str, reason: str) -> None:
        raise AssertionError(f"the watch of {kind} ended: {reason}")

    def _received(self, kind: str, payload: list[Any]) -> None:
        for event, revision, data in payload:
            assert event != ERROR, (kind, payload)
            if event == BOOKMARK:
                continue
            obj = {"kind": kind, **codec.decode(data, revision)}
            obj.setdefault("status", {})
            metadata = obj["metadata"]
            key = (metadata.get("namespace"), metadata["name"])
            old = self.store[kind].get(key)
            if event == DELETED:
                self.store[kind].pop(key, None)
            else:
                self.store[kind][key] = obj
            for sink in list(self.sinks):
                sink(self.now_s(), kind, event, obj, old)

    def find(
        self,
        kind: str,
        namespace: str | None = None,
        name: str | None = None,
        selector: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """Objects by age, then name."""
        found = [
            obj
            for (space, own), obj in self.store.get(kind, {}).items()
            if (namespace is None or not KINDS[kind].namespaced or space == namespace)
            and (name is None or own == name)
            and matches(selector or {}, obj["metadata"].get("labels") or {})
        ]
        return sorted(
            found, key=lambda o: (o["metadata"]["creationTimestamp"], o["metadata"]["name"])
        )

    async def call(
        self,
        verb: str,
        kind: str,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        body: Any = None,
        **options: Any,
    ) -> tuple[int, Object]:
        """One request; HTTP code and object, or Status."""
        future: Future[list[Any]] = Future()
        data = None if body is None else codec.encode_value(body)
        payload = protocol.request(
            verb, KINDS[kind].name, namespace, name, subresource, data, options
        )
        self._client.call(payload, future.set_result, future.set_error)
        try:
            reply = await future.wait()
        except StatusError as error:
            return error.code, error.status()
        data = reply[2]
        return reply[0], codec.decode(data, reply[1]) if isinstance(data, bytes) else {}


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Labels by value; `*` means present, `!` absent."""
    for key, value in selector.items():
        if value in {"*", "!"}:
            if (key in labels) != (value == "*"):
                return False
        elif labels.get(key) != str(value):
            return False
    return True
