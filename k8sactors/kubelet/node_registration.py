"""Makes the node known and keeps its status true: registration, conditions, heartbeat.

The status is written when something of it changes, when another client has written something
different, after the lease could not be renewed for a while, and otherwise every five minutes
(KEP-589).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.actors import Context
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_time, get_condition
from k8sactors.client import Client, is_already_exists
from k8sactors.kubelet.node_lease import LeaseRenewer
from k8sactors.kubelet.node_object import NodeSpec, node_conditions, node_object, node_status
from k8sactors.simulation import SECOND

STATUS_NS = 300 * SECOND
STATUS_SLACK_NS = 10 * SECOND
_RETRY_NS = SECOND
_READY_REASON = {True: "NodeReady", False: "NodeNotReady"}


class NodeRegistration:
    """The Node object of one kubelet.

    Args:
        ctx: the kubelet's context.
        client: the kubelet's client.
        spec: what the kubelet was told about its node.
        on_registered: told once that the object exists.
        record_event: tells the users about the node (object, type, reason, message).
    """

    def __init__(
        self,
        ctx: Context,
        client: Client,
        spec: NodeSpec,
        on_registered: Callable[[], None],
        record_event: Callable[[dict[str, Any], str, str, str], None],
    ) -> None:
        self._ctx = ctx
        self._client = client
        self._spec = spec
        self._on_registered = on_registered
        self._record_event = record_event
        self._lease = LeaseRenewer(ctx, client, spec.name, lambda: self.uid, self._write)
        self._sent: dict[str, Any] = {}
        self._writing = False
        self._again = False
        self._registered = False
        self.node: dict[str, Any] | None = None
        self.uid = ""
        self.runtime_ready = False
        self.network_ready = False
        self.runtime_version = ""

    def start(self) -> None:
        """Create the object, or take over the one that is there."""
        body = {**node_object(self._spec), "status": self._status([])}
        self._client.submit(
            "create", "nodes", body=body, on_done=self._created, on_error=self._create_failed
        )

    def _created(self, node: dict[str, Any]) -> None:
        self._know(node)

    def _create_failed(self, error: StatusError) -> None:
        if not is_already_exists(error):
            self._ctx.after(_RETRY_NS, self.start)
            return
        body = {"metadata": {"labels": self._spec.all_labels()}}
        self._client.submit(
            "patch",
            "nodes",
            name=self._spec.name,
            body=body,
            options={"patchType": "merge"},
            on_done=self._know,
            on_error=self._patch_failed,
        )

    def _patch_failed(self, error: StatusError) -> None:
        del error
        self._ctx.after(_RETRY_NS, self.start)

    def _know(self, node: dict[str, Any]) -> None:
        self.node = node
        self.uid = node["metadata"]["uid"]
        self._sent = node.get("status") or {}
        if not self._registered:
            self._registered = True
            self._lease.start()
            self._heartbeat()
            self._record_event(node, "Normal", "Starting", "Starting kubelet.")
            self._on_registered()

    def _heartbeat(self) -> None:
        self._write()
        self._ctx.after(STATUS_NS, self._heartbeat, slack_ns=STATUS_SLACK_NS)

    # What the watch says

    def seen(self, node: dict[str, Any]) -> None:
        """The object as it is in the API now."""
        if not self._registered:
            return
        self.node = node
        if node["metadata"]["uid"] != self.uid:
            self.uid = node["metadata"]["uid"]
        ready = (get_condition(node, "Ready") or {}).get("status", "")
        if ready != ("True" if self.runtime_ready and self.network_ready else "False"):
            self._write()

    def deleted(self) -> None:
        """The object was deleted: a kubelet registers only when it starts."""
        self._lease.stop()
        self.node = None

    # The status

    def refresh(self, *, runtime_ready: bool, network_ready: bool) -> None:
        """The node's parts have changed."""
        was_ready = self.runtime_ready and self.network_ready
        self.runtime_ready, self.network_ready = runtime_ready, network_ready
        ready = runtime_ready and network_ready
        if self._registered:
            self._write()
            if ready is not was_ready and self.node is not None:
                reason = _READY_REASON[ready]
                text = f"Node {self._spec.name} status is now: {reason}"
                self._record_event(self.node, "Normal", reason, text)

    def _status(self, known: list[dict[str, Any]]) -> dict[str, Any]:
        conditions = node_conditions(
            known,
            format_time(self._ctx.wall_ns()),
            runtime_ready=self.runtime_ready,
            network_ready=self.network_ready,
        )
        boot_id = f"boot-{self._spec.name}-{self._ctx.host.boots}"
        return node_status(self._spec, conditions, self.runtime_version, boot_id)

    def _write(self) -> None:
        if self.node is None:
            return
        if self._writing:
            self._again = True
            return
        self._writing, self._again = True, False
        known = (self.node.get("status") or {}).get("conditions") or []
        status = self._status(known)
        changed = {key: value for key, value in status.items() if self._sent.get(key) != value}

        def done(answer: object) -> None:
            del answer
            self._writing = False
            self._sent = {**self._sent, **status}
            if self._again:
                self._write()

        def failed(error: StatusError) -> None:
            del error
            self._writing = False
            self._ctx.after(_RETRY_NS, self._write)

        self._client.submit(
            "patch",
            "nodes",
            name=self._spec.name,
            subresource="status",
            body={"status": changed},
            options={"patchType": "merge"},
            on_done=done,
            on_error=failed,
            decode=False,
        )
