"""How a webhook is reached: an actor by the name of its service, or a server by HTTPS.

In a cluster a webhook is an actor `webhook` on the host `NAME.NAMESPACE.svc`: what a `service`
reference names. It gets messages `ADMISSION_REVIEW` with the path and the review, and replies with
the review that holds its response. A URL is asked over HTTPS, which takes real time.
"""

from __future__ import annotations

import json
import ssl
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from k8sactors.actors import AskTimeoutError, Connection, Message
from k8sactors.api.protocol import ADMISSION_REVIEW, WEBHOOK_ACTOR, service_host
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.webhooks.errors import CallError
from k8sactors.apiserver.webhooks.https import post
from k8sactors.simulation import SECOND

Object = dict[str, Any]
OnAnswer = Callable[[Any], None]
OnFailure = Callable[[CallError], None]


class Caller:
    """Asks the webhooks of one API server. Connections to actors are kept."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._connections: dict[str, Connection] = {}

    def ask(
        self, config: Object, timeout_s: float, review: Object, done: OnAnswer, fail: OnFailure
    ) -> None:
        """Ask by a `clientConfig`; exactly one of the two is called, in a later turn."""
        service = config.get("service")
        if service is None:
            url = f"{config.get('url', '')}?timeout={timeout_s:g}s"
            self._ask_url(url, config.get("caBundle"), timeout_s, review, done, fail)
        else:
            self._ask_actor(service, timeout_s, review, done, fail)

    def _ask_actor(
        self, service: Object, timeout_s: float, review: Object, done: OnAnswer, fail: OnFailure
    ) -> None:
        namespace, name = service.get("namespace") or "default", service.get("name") or ""
        path = service.get("path") or "/"
        port = service.get("port") or 443
        host = service_host(namespace, name)
        address = f"{host}/{WEBHOOK_ACTOR}"
        connection = self._connections.get(address)
        if connection is None or connection.closed:
            connection = self._environment.context.connect(address)
            self._connections[address] = connection

        def replied(message: Message) -> None:
            done(message.payload)

        def failed(error: Exception) -> None:
            reason = "context deadline exceeded"
            if not isinstance(error, AskTimeoutError):
                self._connections.pop(address, None)
                reason = f"dial tcp: {error}"
            fail(CallError(f'Post "https://{host}:{port}{path}?timeout={timeout_s:g}s": {reason}'))

        connection.request(
            ADMISSION_REVIEW,
            [path, review],
            replied,
            timeout_ns=round(timeout_s * SECOND),
            on_fail=failed,
        )

    def _ask_url(
        self,
        url: str,
        ca_bundle: str | None,
        timeout_s: float,
        review: Object,
        done: OnAnswer,
        fail: OnFailure,
    ) -> None:
        context = self._environment.context
        if context.simulation.virtual:
            text = f'Post "{url}": servers beyond the cluster are reached in real time only'
            context.after(0, lambda: fail(CallError(text)))
            return

        async def run() -> None:
            try:
                trusted = ssl.create_default_context()
                if ca_bundle:
                    trusted = ssl.create_default_context(cadata=b64decode(ca_bundle).decode())
                answer = json.loads(
                    await post(url, json.dumps(review).encode(), trusted, timeout_s)
                )
            except CallError as error:
                text = f'Post "{url}": {error}'
                context.after(0, lambda: fail(CallError(text)))
            except (ValueError, ssl.SSLError) as error:
                text = f'Post "{url}": {error}'
                context.after(0, lambda: fail(CallError(text)))
            else:
                context.after(0, lambda: done(answer))

        context.spawn_task(run)
