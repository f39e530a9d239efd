"""Takes the requests for streams: opens the stream first, so that a refusal has a status line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import attrs

from k8sactors.api import errors, streaming
from k8sactors.api.credentials import Credentials
from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo
from k8sactors.client import Client
from k8sactors.client.remote_stream import RemoteAnswerError, RemoteStream
from k8sactors.gateway.paths import Target
from k8sactors.gateway.streams import (
    options,
    port_forward,
    proxying,
    spdy_command,
    websocket_command,
)
from k8sactors.simulation import unwrap_groups
from raftstore.http import Exchange, PeerError, asks_for_upgrade, is_websocket

_VERBS: Final = {"GET": "get", "POST": "create"}
_PROXY_VERBS: Final = {
    **_VERBS,
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
    "OPTIONS": "get",
}
_BAD_REQUEST: Final = 400


class Streams:
    """Serves the streams that `client` asks an API server for."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def serves(self, target: Target) -> bool:
        """Whether a target is one."""
        return target.subresource in _SERVED and target.subresource in target.info.subresources

    async def serve(self, exchange: Exchange, target: Target, who: UserInfo | Credentials) -> None:
        """Serve one request of a user.

        Raises:
            StatusError: it is refused.
        """
        if not target.name or (target.info.namespaced and not target.namespace):
            raise errors.path_not_found()
        try:
            await _SERVED[target.subresource](_Asked(self._client, exchange, target, who))
        except PeerError as error:
            raise errors.bad_request(str(error)) from error
        except RemoteAnswerError as answer:
            await exchange.respond(answer.code, answer.content_type.encode(), answer.data)


@attrs.frozen
class _Asked:
    """One request."""

    client: Client
    exchange: Exchange
    target: Target
    who: UserInfo | Credentials

    def open(self, given: Mapping[str, Any]) -> RemoteStream:
        """Begin a stream.

        Raises:
            StatusError: 405.
        """
        exchange, target = self.exchange, self.target
        verbs = _PROXY_VERBS if target.subresource == "proxy" else _VERBS
        verb = verbs.get(exchange.head.method)
        if verb is None:
            raise errors.method_not_allowed()
        return self.client.connect(
            streaming.connect(
                verb,
                target.info.name,
                target.namespace or None,
                target.name,
                target.subresource,
                given,
                self.who,
            )
        )

    async def log(self) -> None:
        """The log of a container."""
        exchange = self.exchange
        if exchange.head.method != "GET":
            raise errors.method_not_allowed()
        with self.open(options.parse(exchange.head.query)) as remote:
            await remote.opened()
            if not remote.content_type:
                await exchange.start(204, [])
                await exchange.end()
                return
            await exchange.start(200, [(b"content-type", remote.content_type.encode())])
            try:
                while (item := await remote.receive()) is not None:
                    await exchange.write(item[1])
            except StatusError:
                # The answer is cut short, which the client sees.
                return
            await exchange.end()

    async def command(self) -> None:
        """A command, or the container's own program."""
        exchange = self.exchange
        given = options.parse(exchange.head.query)
        serve, protocol = _command_protocol(exchange)
        with self.open(given) as remote:
            await remote.opened()
            # If the stream is lost, so is the client's.
            with suppress(StatusError), unwrap_groups():
                await serve(exchange, protocol, remote, given)

    async def port_forward(self) -> None:
        """Forwarded ports."""
        exchange = self.exchange
        head = exchange.head
        _check_upgrade(exchange)

        def dial(port: int) -> RemoteStream:
            return self.open({"port": port})

        tunnels = is_websocket(head)
        if tunnels and not port_forward.tunnels(exchange):
            offer = port_forward.TUNNEL
            raise errors.bad_request(f"unable to upgrade: only {offer} is spoken over WebSockets")
        with self.open({}) as remote:
            await remote.opened()
            if tunnels:
                await port_forward.serve_tunnel(exchange, dial)
            else:
                await port_forward.serve_upgrade(exchange, dial)

    async def proxy(self) -> None:
        """What is behind a pod, a service or a node."""
        exchange = self.exchange
        target = self.target
        path = proxying.path_behind(exchange, target)
        if path is None:
            await proxying.redirect(exchange)
            return
        given = {"path": path, "method": exchange.head.method}
        with self.open(given) as remote:
            await remote.opened()
            if target.info.namespaced:
                await proxying.serve(exchange, remote, path)
            else:
                await proxying.serve_page(exchange, remote)


def _check_upgrade(exchange: Exchange) -> None:
    if not (is_websocket(exchange.head) or asks_for_upgrade(exchange.head)):
        raise errors.bad_request("Upgrade request required")
    if not exchange.can_upgrade:
        raise errors.bad_request("Upgrade request required: only HTTP/1.1 is upgraded")


def _command_protocol(
    exchange: Exchange,
) -> tuple[Callable[[Exchange, str, RemoteStream, Mapping[str, Any]], Awaitable[None]], str]:
    """What the client speaks.

    Raises:
        StatusError: 400 or 403, nothing that is known here.
    """
    _check_upgrade(exchange)
    over = websocket_command if is_websocket(exchange.head) else spdy_command
    protocol = over.choose(exchange)
    if protocol is None:
        raise StatusError(403, "Forbidden", "unable to upgrade: unable to negotiate protocol")
    return over.serve, protocol


_SERVED: Final[dict[str, Callable[[_Asked], Awaitable[None]]]] = {
    "log": _Asked.log,
    "exec": _Asked.command,
    "attach": _Asked.command,
    "portforward": _Asked.port_forward,
    "proxy": _Asked.proxy,
}
