"""The API client: verbs as callbacks, and as awaitables.

Reactors use `submit`, which runs its callback in the actor's turn; processes await the verbs. Both
go the same way and raise the same StatusError. A read is repeated on another server when the
connection breaks; a write is not, because it may have happened: the caller looks again
and decides (UnreachableError).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import trio

from k8sactors.actors import Context, Future
from k8sactors.api import codec, protocol
from k8sactors.api.credentials import Credentials
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import FIRST_ERROR_CODE, READ_VERBS, REQUEST, REQUEST_USER
from k8sactors.api.streaming import CONNECT, WINDOW_BYTES
from k8sactors.api.user import UserInfo
from k8sactors.client.errors import FencedError, UnreachableError, error_in, is_conflict
from k8sactors.client.pool import ServerPool, Watch
from k8sactors.client.remote_stream import RemoteStream
from k8sactors.simulation import SECOND

Object = dict[str, Any]
OnDone = Callable[[Object], None]
OnError = Callable[[StatusError], None]

DEFAULT_TIMEOUT_NS = 30 * SECOND
MAX_THROTTLED_RETRIES = 10
TOO_MANY_REQUESTS = 429


class Client:
    """Talks to one of `servers` on behalf of `user`, whose credentials open each connection.

    `fence`, when given, is asked before every write leaves; a write that it refuses ends with
    FencedError. Leader election uses it so that a leader whose lease has run out by its own clock
    cannot act any more.
    """

    def __init__(
        self,
        ctx: Context,
        servers: Sequence[str],
        user: UserInfo,
        *,
        fence: Callable[[], bool] | None = None,
    ) -> None:
        self.ctx = ctx
        self.user = user
        self.fence = fence
        self._pool = ServerPool(ctx, servers, user)
        self.requests = 0

    @property
    def server(self) -> str:
        """Address of the API server in use."""
        return self._pool.server

    @property
    def failovers(self) -> int:
        """How often a server was left for another one."""
        return self._pool.failovers

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._pool.closed

    def close(self) -> None:
        """End the connection; calls in flight fail with UnreachableError, watches end silently."""
        self._pool.close()

    # --- callback style

    def submit(
        self,
        verb: str,
        resource: str,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        body: Any = None,
        options: Mapping[str, Any] | None = None,
        on_done: OnDone,
        on_error: OnError,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
        decode: bool = True,
    ) -> None:
        """Send one request; one of `on_done` and `on_error` runs, later, in the actor's turn.

        `decode=False` saves the decoding of an answer that is not read: `on_done` gets an empty
        dict.
        """
        if self.fence is not None and verb not in READ_VERBS and not self.fence():
            self.ctx.after(0, lambda: on_error(FencedError("no longer allowed to write")))
            return
        data = None if body is None else codec.encode_value(body)
        payload = protocol.request(verb, resource, namespace, name, subresource, data, options)

        def replied(reply: Any) -> None:
            on_done(_decode_reply(reply) if decode else {})

        self.call(payload, replied, on_error, timeout_ns)

    def call(
        self,
        payload: list[Any],
        on_reply: Callable[[list[Any]], None],
        on_error: OnError,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> None:
        """Send the payload of a `REQUEST`; `on_reply` gets that of a successful `RESPONSE`."""
        _Call(self, self._pool, payload, on_reply, on_error, timeout_ns).send()

    def watch(
        self,
        resource: str,
        *,
        namespace: str | None,
        options: Mapping[str, Any],
        on_item: Callable[[Any], None],
        on_close: Callable[[str], None],
        user: UserInfo | Credentials | None = None,
    ) -> Watch:
        """Open a raw watch stream: `on_item` gets the payload of each `EVENTS`.

        `user` is whom an authenticating proxy watches for.
        """
        watch = Watch(protocol.watch(resource, namespace, options, user), on_item, on_close)
        self._pool.watch(watch, DEFAULT_TIMEOUT_NS)
        return watch

    def connect(self, payload: list[Any]) -> RemoteStream:
        """Open a stream with the payload of a `CONNECT` (`api.streaming`)."""
        remote = RemoteStream()
        self._pool.open_stream(
            CONNECT,
            payload,
            remote.begin,
            remote.fail,
            window=WINDOW_BYTES,
            timeout_ns=DEFAULT_TIMEOUT_NS,
        )
        return remote

    def suspect_server(self, reason: str) -> None:
        """Leave the server in use, which owes an answer."""
        self._pool.suspect(reason)

    # --- async style

    async def request(
        self,
        verb: str,
        resource: str,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        body: Any = None,
        options: Mapping[str, Any] | None = None,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> Object:
        """Send one request and wait for its object; raises StatusError."""
        future: Future[Object] = Future()
        self.submit(
            verb,
            resource,
            namespace=namespace,
            name=name,
            subresource=subresource,
            body=body,
            options=options,
            on_done=future.set_result,
            on_error=future.set_error,
            timeout_ns=timeout_ns,
        )
        return await future.wait()

    async def get(
        self, resource: str, name: str, namespace: str | None = None, **options: Any
    ) -> Object:
        """The object of that name."""
        return await self.request("get", resource, namespace=namespace, name=name, options=options)

    async def list(self, resource: str, namespace: str | None = None, **options: Any) -> Object:
        """A List object with `items` and `metadata.resourceVersion`."""
        return await self.request("list", resource, namespace=namespace, options=options)

    async def create(
        self, resource: str, body: Object, namespace: str | None = None, **options: Any
    ) -> Object:
        """Create an object; its namespace is that of its metadata unless given."""
        return await self.request(
            "create",
            resource,
            namespace=namespace or body["metadata"].get("namespace"),
            body=body,
            options=options,
        )

    async def update(
        self, resource: str, body: Object, subresource: str | None = None, **options: Any
    ) -> Object:
        """Replace an object; 409 when its resourceVersion is not the current one."""
        metadata = body["metadata"]
        return await self.request(
            "update",
            resource,
            namespace=metadata.get("namespace"),
            name=metadata["name"],
            subresource=subresource,
            body=body,
            options=options,
        )

    async def update_status(self, resource: str, body: Object, **options: Any) -> Object:
        """Replace the status of an object."""
        return await self.update(resource, body, "status", **options)

    async def patch(
        self,
        resource: str,
        name: str,
        body: Any,
        namespace: str | None = None,
        subresource: str | None = None,
        patch_type: str = "merge",
        **options: Any,
    ) -> Object:
        """Patch an object; `patch_type` is merge, json, strategic or apply."""
        return await self.request(
            "patch",
            resource,
            namespace=namespace,
            name=name,
            subresource=subresource,
            body=body,
            options={"patchType": patch_type, **options},
        )

    async def apply(
        self,
        resource: str,
        configuration: Object,
        field_manager: str,
        *,
        force: bool = False,
        subresource: str | None = None,
        **options: Any,
    ) -> Object:
        """Server-side apply: the object with all that `configuration` names, created if missing.

        409 when that changes fields of other managers, unless `force` takes them.
        """
        metadata = configuration["metadata"]
        return await self.patch(
            resource,
            metadata["name"],
            configuration,
            metadata.get("namespace"),
            subresource,
            "apply",
            fieldManager=field_manager,
            force=force,
            **options,
        )

    async def delete(
        self, resource: str, name: str, namespace: str | None = None, **options: Any
    ) -> Object:
        """Delete an object; options are those of DeleteOptions."""
        return await self.request(
            "delete", resource, namespace=namespace, name=name, options=options
        )

    async def delete_collection(
        self, resource: str, namespace: str | None = None, **options: Any
    ) -> Object:
        """Delete every object that the selectors in `options` match."""
        return await self.request(
            "deletecollection", resource, namespace=namespace, options=options
        )


class _Call:
    """A request on its way: repeated when it was throttled or, if it only reads, lost.

    An object and not a nest of closures: those would refer to one another, and every request would
    be left to the cyclic collector.
    """

    __slots__ = (
        "_client",
        "_deadline_ns",
        "_on_error",
        "_on_reply",
        "_payload",
        "_pool",
        "_throttled",
    )

    def __init__(
        self,
        client: Client,
        pool: ServerPool,
        payload: list[Any],
        on_reply: Callable[[list[Any]], None],
        on_error: OnError,
        timeout_ns: int,
    ) -> None:
        self._client = client
        self._pool = pool
        self._payload = payload
        self._on_reply = on_reply
        self._on_error = on_error
        self._deadline_ns = client.ctx.now_ns() + timeout_ns
        self._throttled = 0

    def send(self) -> None:
        """Send it, for the first time or again."""
        self._client.requests += 1
        left_ns = max(1, self._deadline_ns - self._client.ctx.now_ns())
        self._pool.request(REQUEST, self._payload, self._replied, self._failed, left_ns)

    def _replied(self, reply: list[Any]) -> None:
        code = reply[0]
        if code < FIRST_ERROR_CODE:
            self._on_reply(reply)
            return
        error = error_in(code, reply[2])
        error.flow_uids = protocol.flow_uids(reply)
        if (
            code == TOO_MANY_REQUESTS
            and len(self._payload) <= REQUEST_USER
            and error.retry_after_seconds
            and self._throttled < MAX_THROTTLED_RETRIES
        ):
            self._throttled += 1
            self._client.ctx.after(error.retry_after_seconds * SECOND, self.send)
            return
        self._on_error(error)

    def _failed(self, error: UnreachableError) -> None:
        # Reading twice does no harm, so a read follows the client to the next server.
        reads = self._payload[0] in READ_VERBS
        if reads and not self._pool.closed and self._client.ctx.now_ns() < self._deadline_ns:
            self.send()
        else:
            self._on_error(error)


async def retry_on_conflict(
    client: Client, attempt: Callable[[], Any], *, steps: int = 5, base_delay_ns: int = 10_000_000
) -> Any:
    """Await `attempt()` again while it fails with 409 Conflict, as client-go's RetryOnConflict.

    `attempt` must read the object again each time; after `steps` tries the last conflict is raised.
    """
    for step in range(steps):
        try:
            return await attempt()
        except StatusError as error:
            if not is_conflict(error) or step == steps - 1:
                raise
            delay_ns = base_delay_ns + int(base_delay_ns * 0.1 * client.ctx.random.random())
            await trio.sleep(delay_ns / SECOND)
    raise AssertionError("steps must be positive")


def _decode_reply(reply: list[Any]) -> Object:
    """The object, Status or List in a successful `RESPONSE`."""
    body = reply[2]
    if isinstance(body, list):
        metadata: Object = {"resourceVersion": str(reply[1])}
        if reply[3]:
            metadata["continue"] = reply[3]
        if reply[4] is not None:
            metadata["remainingItemCount"] = reply[4]
        items = [codec.decode(data, revision) for revision, data in body]
        return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}
    if body is None:
        return {}
    return codec.decode(body, reply[1])
