"""The kubelet's server: logs, exec, attach and forwarded ports of its pods, and the node's pages.

A stream that the API server opens is joined with one to the container runtime, on a connection of
its own. The kubelet looks no further into what is sent; when one side goes, so does the other.

Sources: `pkg/kubelet/server/server.go`; the texts are those of the kubelet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from k8sactors.actors import Context, Message, Stream
from k8sactors.actors.forwarding import Destination, forward
from k8sactors.api import streaming
from k8sactors.api.streaming import (
    CHUNK_BYTES,
    IN_ORDER,
    OPENED,
    STDOUT,
    TEXT,
    WINDOW_BYTES,
)
from k8sactors.kubelet.log_source import NoLogError, log_container
from k8sactors.kubelet.pod_worker import PodWorker
from k8sactors.runtime import cri
from k8sactors.simulation import SECOND

BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
METHOD_NOT_ALLOWED: Final = 405
ERROR: Final = 500
JSON: Final = "application/json"
OPEN_TIMEOUT_NS: Final = 20 * SECOND


class KubeletServer:
    """Serves the streams of one node.

    Args:
        ctx: the kubelet's context.
        runtime: address of the container runtime.
        node_name: name of the node.
        workers: the pods by uid.
    """

    def __init__(
        self, ctx: Context, runtime: str, node_name: str, workers: Mapping[str, PodWorker]
    ) -> None:
        self._ctx = ctx
        self._runtime = runtime
        self._node_name = node_name
        self._workers = workers
        # Streams that lead to the runtime now.
        self._running = 0
        self._handlers: dict[str, Callable[[Message], None]] = {
            streaming.KUBELET_LOGS: self._logs,
            streaming.KUBELET_EXEC: partial(self._command, cri.EXEC),
            streaming.KUBELET_ATTACH: partial(self._command, cri.ATTACH),
            streaming.KUBELET_PORT_FORWARD: self._port_forward,
            streaming.KUBELET_PROXY: self._page,
        }

    def handle(self, message: Message) -> None:
        """Serve a message if it opens a stream."""
        handler = self._handlers.get(message.kind)
        if handler is not None:
            handler(message)

    def _worker(self, namespace: str, name: str) -> PodWorker | None:
        key = f"{namespace}/{name}"
        found = [worker for worker in self._workers.values() if worker.key == key]
        return found[-1] if found else None

    # Containers

    def _logs(self, message: Message) -> None:
        namespace, name, container, options = message.payload
        worker = self._worker(namespace, name)
        if worker is None:
            refuse(message, NOT_FOUND, "pod does not exist")
            return
        try:
            container_id = log_container(
                worker.known_status(), name, container, previous=bool(options.get("previous"))
            )
        except NoLogError as error:
            refuse(message, BAD_REQUEST, str(error))
            return
        self._forward(message, cri.CONTAINER_LOGS, [container_id, options])

    def _command(self, method: str, message: Message) -> None:
        namespace, name, container, options = message.payload
        worker = self._worker(namespace, name)
        if worker is None:
            refuse(message, NOT_FOUND, "pod does not exist")
            return
        container_id = worker.running_container(container)
        if not container_id:
            refuse(message, ERROR, f'container not found ("{container}")')
        elif method == cri.EXEC:
            self._forward(message, method, [container_id, options.get("command") or [], options])
        else:
            self._forward(message, method, [container_id, options])

    def _port_forward(self, message: Message) -> None:
        namespace, name, _, options = message.payload
        worker = self._worker(namespace, name)
        if worker is None:
            refuse(message, NOT_FOUND, "pod does not exist")
        elif not worker.sandbox_id:
            refuse(message, ERROR, f'failed to find sandbox of pod "{namespace}/{name}"')
        elif options.get("port") is None:
            # Whether ports can be forwarded at all; each connection is a stream of its own.
            stream = accept(message)
            if stream is not None:
                stream.send(OPENED, [TEXT])
        else:
            sandbox = worker.sandbox_id
            text = (
                f"error forwarding port {options['port']} to pod {sandbox}, uid : failed to "
                f'execute portforward in network namespace "/var/run/netns/cni-{sandbox[:8]}": '
                "failed to connect to localhost inside namespace: "
            )
            self._forward(message, cri.PORT_FORWARD, [sandbox, options["port"]], text)

    def _forward(self, message: Message, kind: str, payload: list[Any], prefix: str = "") -> None:
        """Join a stream with one to the runtime."""
        outer = accept(message)
        if outer is None:
            return

        def failed(reason: str, trailer: Any) -> None:
            if trailer is None:
                text = "rpc error: code = Unavailable desc = connection error: desc = "
                outer.close(reason, [ERROR, f'{text}"{reason}"'])
            else:
                outer.close(reason, [trailer[0], prefix + trailer[1]])

        def ended() -> None:
            self._running -= 1

        self._running += 1
        forward(
            self._ctx,
            outer,
            Destination(self._runtime, kind, payload),
            failed,
            window=WINDOW_BYTES,
            timeout_ns=OPEN_TIMEOUT_NS,
            on_ended=ended,
        )

    # The node

    def _page(self, message: Message) -> None:
        options = message.payload[3]
        path = (options.get("path") or "/").rstrip("/") or "/"
        if path.startswith("/containerLogs/"):
            parts = path.split("/")[2:]
            if len(parts) == 3:  # noqa: PLR2004 - namespace, pod, container
                message.payload[:3] = parts
                self._logs(message)
                return
        found = self._content(path)
        if found is None:
            refuse(message, NOT_FOUND, "404 page not found\n")
        elif options.get("method", "GET") not in {"GET", "HEAD"}:
            refuse(message, METHOD_NOT_ALLOWED, "405: Method Not Allowed")
        else:
            stream = accept(message)
            if stream is not None:
                stream.send(OPENED, [found[0]])
                _Content(stream, found[1]).pump()

    def _content(self, path: str) -> tuple[str, bytes] | None:
        if path in {"/healthz", "/healthz/ping", "/healthz/syncloop"}:
            return TEXT, b"ok"
        workers = list(self._workers.values())
        if path in {"/pods", "/runningpods"}:
            chosen = [each for each in workers if path == "/pods" or each.sandbox_id]
            items = [{**each.pod, "status": each.known_status()} for each in chosen]
            pods = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
            return JSON, json.dumps(pods).encode()
        if path == "/metrics":
            running = sum(bool(each.sandbox_id) for each in workers)
            lines = (
                "# TYPE kubelet_node_name gauge\n"
                f'kubelet_node_name{{node="{self._node_name}"}} 1\n'
                "# TYPE kubelet_running_pods gauge\n"
                f"kubelet_running_pods {running}\n"
                "# TYPE kubelet_running_streams gauge\n"
                f'kubelet_running_streams{{node="{self._node_name}"}} {self._running}\n'
            )
            return "text/plain; version=0.0.4", lines.encode()
        return None


class _Content:
    """Sends bytes that are known."""

    def __init__(self, stream: Stream, data: bytes) -> None:
        self._stream = stream
        self._data = memoryview(data)
        stream.on_writable = self.pump

    def pump(self) -> None:
        """Send as much as may be sent."""
        stream = self._stream
        while self._data and stream.writable:
            stream.send(STDOUT, bytes(self._data[:CHUNK_BYTES]))
            self._data = self._data[CHUNK_BYTES:]
        if not self._data:
            stream.close("", IN_ORDER)


def accept(message: Message) -> Stream | None:
    """This end of a stream of bytes."""
    return message.accept_stream(window=WINDOW_BYTES, manual_credit=True)


def refuse(message: Message, code: int, text: str) -> None:
    """Close a stream before it is opened."""
    stream = message.accept_stream()
    if stream is not None:
        stream.close(text, [code, text])
