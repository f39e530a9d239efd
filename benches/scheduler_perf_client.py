"""The client of scheduler_perf: sends requests with a bound on those in flight, and watches pods.

Its clock is the wall clock: the run itself is on virtual time, which stands still while anything
can run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import attrs

from k8sactors.actors import Actor
from k8sactors.api import codec
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import get_condition
from k8sactors.api.user import ADMIN_USER
from k8sactors.client import Client, is_not_found

__all__ = ["LoadClient", "PodRecord", "Request"]

Object = dict[str, Any]

# As many as scheduler_perf has goroutines that create pods.
CONCURRENCY = 30


@attrs.define(eq=False)
class PodRecord:
    """What is known of one pod that the workload made."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    # Wall-clock seconds.
    sent_s: float = 0.0
    bound_s: float = 0.0
    # Whether the scheduler has said anything about the pod.
    attempted: bool = False
    # What it said when no node fitted.
    message: str = ""
    deleted: bool = False

    @property
    def bound(self) -> bool:
        """Whether the watch has shown the pod with a node."""
        return self.bound_s > 0

    def matches(self, namespaces: frozenset[str] | None, labels: Mapping[str, str]) -> bool:
        """Whether the pod is in one of the namespaces (None: in any) and has the labels."""
        return (namespaces is None or self.namespace in namespaces) and (
            labels.items() <= self.labels.items()
        )


@attrs.frozen
class Request:
    """One request; a pod's record is noted as it leaves."""

    verb: str
    resource: str
    namespace: str | None = None
    name: str | None = None
    body: Object | None = None
    subresource: str | None = None
    record: PodRecord | None = None
    # Makes the body of this request from the answer of a GET of the same object.
    change: Callable[[Object], Object] | None = None


class LoadClient(Actor):
    """Sends what the workload wants, in order, `CONCURRENCY` at a time."""

    def __init__(self, servers: list[str], *, decodes_new_pods: bool) -> None:
        self._servers = servers
        # Whether what a new pod's status says matters: pods that are gated are never looked at.
        self._decodes_new_pods = decodes_new_pods
        self._waiting: deque[Request] = deque()
        self._in_flight = 0
        self.ready = False
        self.errors: list[str] = []
        # By namespace and name.
        self.pods: dict[tuple[str, str], PodRecord] = {}
        self.bound_count = 0

    def on_start(self) -> None:
        """Connect, and watch pods from the beginning."""
        self._client = Client(self.ctx, self._servers, ADMIN_USER)
        self._client.watch(
            "pods",
            namespace=None,
            options={"resourceVersion": "1"},
            on_item=self._seen,
            on_close=self.errors.append,
        )
        self.ready = True

    @property
    def idle(self) -> bool:
        """Whether everything asked for has been answered."""
        return not self._in_flight and not self._waiting

    def send(self, requests: list[Request]) -> None:
        """Queue requests; may be called from outside a turn."""
        for request in requests:
            record = request.record
            if record is not None and request.verb == "create":
                self.pods[record.namespace, record.name] = record
        self._waiting.extend(requests)
        self._fill()
        # The timer makes a turn, at whose end everything leaves.
        self.ctx.after(0, _nothing)

    def _fill(self) -> None:
        while self._waiting and self._in_flight < CONCURRENCY:
            request = self._waiting.popleft()
            self._in_flight += 1
            if request.change is not None and request.body is None:
                self._read_first(request)
            else:
                self._submit(request)

    def _submit(self, request: Request) -> None:
        if request.record is not None and request.verb == "create":
            request.record.sent_s = perf_counter()
        self._client.submit(
            request.verb,
            request.resource,
            namespace=request.namespace,
            name=request.name,
            subresource=request.subresource,
            body=request.body,
            on_done=self._answered,
            on_error=lambda error: self._failed(request, error),
            decode=False,
        )

    def _read_first(self, request: Request) -> None:
        change = request.change
        assert change is not None, "only requests that change what they read are read first"
        self._client.submit(
            "get",
            request.resource,
            namespace=request.namespace,
            name=request.name,
            on_done=lambda found: self._submit(attrs.evolve(request, body=change(found))),
            on_error=lambda error: self._failed(request, error),
        )

    def _answered(self, _answer: Object) -> None:
        self._in_flight -= 1
        self._fill()

    def _failed(self, request: Request, error: StatusError) -> None:
        # What is to go may have gone: preemption and churn delete pods too.
        if not (request.verb == "delete" and is_not_found(error)):
            name = request.name or ((request.body or {}).get("metadata") or {}).get("name")
            self.errors.append(f"{request.verb} {request.resource} {name}: {error}")
        self._answered({})

    def _seen(self, items: list[Any]) -> None:
        if items and items[0] == "ERROR":
            self.errors.append(f"the watch of pods ended: {items[1]}")
            return
        now_s = perf_counter()
        for kind, _revision, body in items:
            if kind == "ADDED" and not self._decodes_new_pods:
                continue
            pod = codec.decode_value(body)
            metadata = pod["metadata"]
            record = self.pods.get((metadata["namespace"], metadata["name"]))
            if record is not None:
                self._note(record, kind, pod, now_s)

    def _note(self, record: PodRecord, kind: str, pod: Object, now_s: float) -> None:
        if kind == "DELETED":
            record.deleted = True
            return
        record.labels = pod["metadata"].get("labels") or {}
        if pod["spec"].get("nodeName"):
            if not record.bound:
                self.bound_count += 1
                record.bound_s = now_s
            record.attempted = True
            return
        condition = get_condition(pod, "PodScheduled")
        if condition is not None:
            record.attempted = True
            record.message = condition.get("message") or ""


def _nothing() -> None:
    """The turn itself is what matters."""
