"""One request while it is being served, and the promise that it is answered exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from k8sactors.api import codec, errors
from k8sactors.api.effects import Guard, KeyState, Write
from k8sactors.api.errors import (
    AnswerNeededError,
    LeaseNeededError,
    LookupNeededError,
    StatusError,
)
from k8sactors.api.protocol import FLOW, READ_VERBS, REQUEST_USER, RESPONSE
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.errors import (
    CompactedError,
    FutureRevisionError,
    StoreError,
    StoreUnavailableError,
    UnknownOutcomeError,
)
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.store import Committed

# As `Store.commit`.
Commit = Callable[
    [
        Sequence[Guard],
        Sequence[Write],
        Sequence[bytes],
        Callable[[Committed], None],
        Callable[[StoreError], None],
    ],
    None,
]


class Origin(Protocol):
    """What a call needs of the message that asked for it (`actors.Message`)."""

    def reply(self, kind: str, payload: Any) -> None:
        """Answer it."""


class ProxiedOrigin:
    """The origin of a request that a proxy passes on: its answer ends with the flow's uids."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        # Of the FlowSchema and the priority level; None: the request was not assigned to a flow.
        self.flow_uids: list[str] | None = None

    def reply(self, kind: str, payload: Any) -> None:
        """Answer it."""
        self._origin.reply(kind, (*payload, {FLOW: self.flow_uids}))


class Call:
    """A request: what is asked, by whom, and what was looked up on the way."""

    __slots__ = (
        "_origin",
        "_settle",
        "answer",
        "audit_annotations",
        "body",
        "commit",
        "done",
        "environment",
        "flow",
        "known",
        "name",
        "namespace",
        "options",
        "proxied",
        "readonly",
        "resource",
        "seats",
        "subresource",
        "user",
        "verb",
        "warnings",
    )

    def __init__(
        self,
        origin: Origin,
        payload: list[Any],
        resource: Resource,
        user: UserInfo,
        environment: Environment,
        settle: Callable[[Call, int, int], None],
    ) -> None:
        verb, _, namespace, name, subresource, body, options = payload[:REQUEST_USER]
        self._origin = origin
        self._settle = settle
        # Set when a proxy passes it on.
        self.proxied = origin if isinstance(origin, ProxiedOrigin) else None
        self.resource = resource
        self.environment = environment
        self.verb: str = verb
        self.namespace: str = namespace or ""
        self.name: str = name or ""
        self.subresource: str = subresource or ""
        self.body: bytes | None = body
        self.options: dict[str, Any] = options or {}
        self.user = user
        self.readonly = verb in READ_VERBS
        # Keys that were read from the store for this call because no cache had them.
        self.known: dict[bytes, KeyState | None] | None = None
        # What the client should know although the call succeeds.
        self.warnings: Sequence[str] = ()
        # What admission plugins add to the audit record.
        self.audit_annotations: dict[str, str] | None = None
        # Commits the write in place of the store, such as one that is charged to a quota.
        self.commit: Commit | None = None
        self.done = False
        # Its flow (`priority_and_fairness`), and the seats that it holds there.
        self.flow: Any = None
        self.seats = 1
        # What it was answered with, for the audit: an object's bytes, or an error.
        self.answer: bytes | StatusError | None = None

    @property
    def dry_run(self) -> bool:
        """Whether everything happens but the write."""
        return bool(self.options.get("dryRun"))

    def found(self, key: bytes) -> KeyState | None:
        """What this call has read under `key`; None: no value, or not read yet."""
        return self.known.get(key) if self.known is not None else None

    def lookup(self, key: bytes, wait_ns: int = 0) -> KeyState | None:
        """What the store holds under `key`.

        Raises:
            LookupNeededError: not read yet.
        """
        if self.known is None or key not in self.known:
            raise LookupNeededError(key, wait_ns)
        return self.known[key]

    def lease(self, ttl_seconds: int) -> int:
        """A lease of the store that lives at least `ttl_seconds`.

        Raises:
            LeaseNeededError: none is at hand.
        """
        lease = self.environment.leases.current(ttl_seconds)
        if not lease:
            raise LeaseNeededError(ttl_seconds)
        return lease

    def succeed(self, code: int, revision: int, data: bytes | None) -> None:
        """Answer with an object's bytes, once they are in the version that was asked for."""
        if not self.done:
            present = self.resource.present
            if present is not None and data is not None:
                try:
                    data = present(data)
                except AnswerNeededError as needed:
                    needed.begin(partial(self.succeed, code, revision, data))
                    return
                except StatusError as error:
                    self.fail(error)
                    return
            self.done = True
            self.answer = data
            if self.warnings:
                warnings = list(dict.fromkeys(self.warnings))
                self._origin.reply(RESPONSE, (code, revision, data, warnings))
            else:
                self._origin.reply(RESPONSE, (code, revision, data))
            self._settle(self, code, revision)

    def succeed_list(
        self, revision: int, items: list[list[Any]], token: str | None, remaining: int | None
    ) -> None:
        """Answer with a page of a list."""
        if not self.done:
            if self.resource.present is not None:
                again = partial(self.succeed_list, revision, items, token, remaining)
                try:
                    shown = self.resource.present_all([data for _, data in items], again)
                except StatusError as error:
                    self.fail(error)
                    return
                if shown is None:
                    return
                items = [[each[0], data] for each, data in zip(items, shown, strict=True)]
            self.done = True
            self._origin.reply(RESPONSE, (200, revision, items, token, remaining))
            self._settle(self, 200, revision)

    def fail(self, error: StatusError) -> None:
        """Answer with a Status."""
        if not self.done:
            self.done = True
            self.answer = error
            self._origin.reply(RESPONSE, (error.code, 0, codec.encode_value(error.status())))
            self._settle(self, error.code, 0)

    def refuse(self, error: StatusError) -> None:
        """Answer with a Status, before the call was served at all."""
        self._origin.reply(RESPONSE, (error.code, 0, codec.encode_value(error.status())))

    def fail_store(self, error: StoreError) -> None:
        """Answer with what the store's failure means to a client."""
        self.fail(status_of(error))


def status_of(error: StoreError) -> StatusError:
    """The answer that a store failure leads to.

    A write of unknown outcome is a Timeout (504): the client must look before it tries again.
    """
    if isinstance(error, UnknownOutcomeError):
        return errors.timeout(f"the outcome of the write is unknown: {error}")
    if isinstance(error, CompactedError):
        return errors.expired(
            "The provided continue parameter is too old to display a consistent list result. "
            "You can start a new list without the continue parameter."
        )
    if isinstance(error, FutureRevisionError):
        return errors.too_large_version("Too large resource version")
    if isinstance(error, StoreUnavailableError):
        return errors.service_unavailable(f"the store is not available: {error}")
    return errors.internal_error(str(error))


def success_status(code: int, details: dict[str, Any] | None = None) -> bytes:
    """An encoded Status that says Success."""
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
    }
    if details:
        status["details"] = details
    status["code"] = code
    return codec.encode_value(status)
