"""The node's heartbeat: a Lease in kube-node-lease, renewed every ten seconds (KEP-589).

Renewals of many nodes fall on the same instant, because the timer may be up to a second late: an
idle cluster then wakes up once per second instead of once per node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.actors import Context
from k8sactors.api import codec, protocol
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_micro_time
from k8sactors.client import Client, is_already_exists, is_conflict, is_not_found
from k8sactors.simulation import SECOND

NAMESPACE = "kube-node-lease"
_RESOURCE = "leases.coordination.k8s.io"
DURATION_SECONDS = 40
RENEW_NS = 10 * SECOND
RENEW_SLACK_NS = SECOND
_RETRY_FIRST_NS, _RETRY_LIMIT_NS = SECOND // 5, 7 * SECOND


class LeaseRenewer:
    """Keeps the lease of one node.

    Args:
        ctx: the kubelet's context.
        client: the kubelet's client.
        node_name: name of the node and of the lease.
        owner: gives the node's uid, "" while it is unknown.
        on_recovered: told that a renewal succeeded after one had failed.
    """

    def __init__(
        self,
        ctx: Context,
        client: Client,
        node_name: str,
        owner: Callable[[], str],
        on_recovered: Callable[[], None],
    ) -> None:
        self._ctx = ctx
        self._client = client
        self._node_name = node_name
        self._owner = owner
        self._on_recovered = on_recovered
        self._lease: dict[str, Any] | None = None
        self._retry_ns = _RETRY_FIRST_NS
        self._failing = False
        self._stopped = False

    def start(self) -> None:
        """Begin with creating the lease."""
        self._create()

    def stop(self) -> None:
        """Renew no more: the node object is gone."""
        self._stopped = True

    def _renewed_spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._node_name,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": format_micro_time(self._ctx.wall_ns()),
        }

    def _create(self) -> None:
        metadata: dict[str, Any] = {"name": self._node_name, "namespace": NAMESPACE}
        uid = self._owner()
        if uid:
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._node_name, "uid": uid}
            metadata["ownerReferences"] = [owner]
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": self._renewed_spec(),
        }
        self._submit("create", None, body, self._take, self._create_failed)

    def _create_failed(self, error: StatusError) -> None:
        if is_already_exists(error):
            self._read()
        else:
            self._retry(self._create)

    def _read(self) -> None:
        def read(lease: dict[str, Any]) -> None:
            self._lease = lease
            self._renew()

        self._submit("get", self._node_name, None, read, self._read_failed)

    def _read_failed(self, error: StatusError) -> None:
        self._retry(self._create if is_not_found(error) else self._read)

    def _renew(self) -> None:
        lease = self._lease
        if self._stopped or lease is None:
            return
        # The commonest request of an idle cluster: the answer is used for its revision alone.
        lease = self._lease = {**lease, "spec": {**lease["spec"], **self._renewed_spec()}}
        body = codec.encode_value(lease)
        payload = protocol.request("update", _RESOURCE, NAMESPACE, self._node_name, body=body)
        self._client.call(payload, self._renewed, self._renew_failed, RENEW_NS)

    def _renewed(self, reply: list[Any]) -> None:
        lease = self._lease
        if lease is not None:
            metadata = {**lease["metadata"], "resourceVersion": str(reply[1])}
            self._take(lease | {"metadata": metadata})

    def _take(self, lease: dict[str, Any]) -> None:
        """The lease was just renewed: wait for the next time."""
        self._lease = lease
        self._retry_ns = _RETRY_FIRST_NS
        if self._failing:
            self._failing = False
            self._on_recovered()
        self._ctx.after(RENEW_NS, self._renew, slack_ns=RENEW_SLACK_NS)

    def _renew_failed(self, error: StatusError) -> None:
        if is_not_found(error):
            self._retry(self._create)
        elif is_conflict(error):
            self._read()
        else:
            self._retry(self._read)

    def _retry(self, action: Callable[[], None]) -> None:
        if self._stopped:
            return
        self._failing = True
        self._ctx.after(self._retry_ns, action)
        self._retry_ns = min(2 * self._retry_ns, _RETRY_LIMIT_NS)

    def _submit(
        self,
        verb: str,
        name: str | None,
        body: dict[str, Any] | None,
        on_done: Callable[[dict[str, Any]], None],
        on_error: Callable[[StatusError], None],
    ) -> None:
        self._client.submit(
            verb,
            _RESOURCE,
            namespace=NAMESPACE,
            name=name,
            body=body,
            on_done=on_done,
            on_error=on_error,
            timeout_ns=RENEW_NS,
        )
