"""One request while it is being served, and the promise that it is answered exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from k8sactors.api import codec, errors
from k8sactors.api.errors import StatusError
from k8sactors.apiserver.errors import (
    CompactedError,
    StoreError,
    StoreUnavailableError,
    UnknownOutcomeError,
)
from k8sactors.apiserver.protocol import RESPONSE
from k8sactors.apiserver.store import KeyState

if TYPE_CHECKING:
    from k8sactors.apiserver.resource import Resource

ANONYMOUS = "system:anonymous"


class Origin(Protocol):
    """What a call needs of the message that asked for it (`actors.Message`)."""

    def reply(self, kind: str, payload: Any) -> None:
        """Answer it."""


class Call:
    """A request: what is asked, by whom, and what was looked up on the way."""

    __slots__ = (
        "_origin",
        "_settle",
        "body",
        "done",
        "known",
        "name",
        "namespace",
        "options",
        "readonly",
        "resource",
        "subresource",
        "user",
        "verb",
    )

    def __init__(
        self,
        origin: Origin,
        payload: list[Any],
        resource: Resource,
        settle: Callable[[Call, int, int], None],
    ) -> None:
        verb, _, namespace, name, subresource, body, options = payload
        self._origin = origin
        self._settle = settle
        self.resource = resource
        self.verb: str = verb
        self.namespace: str = namespace or ""
        self.name: str = name or ""
        self.subresource: str = subresource or ""
        self.body: bytes | None = body
        self.options: dict[str, Any] = options or {}
        self.user: str = self.options.get("user") or ANONYMOUS
        self.readonly = verb in {"get", "list"}
        # Keys that were read from the store for this call because no cache had them.
        self.known: dict[bytes, KeyState | None] | None = None
        self.done = False

    @property
    def dry_run(self) -> bool:
        """Whether everything happens but the write."""
        return bool(self.options.get("dryRun"))

    def succeed(self, code: int, revision: int, data: bytes | None) -> None:
        """Answer with an object's bytes."""
        if not self.done:
            self.done = True
            self._origin.reply(RESPONSE, (code, revision, data))
            self._settle(self, code, revision)

    def succeed_list(
        self, revision: int, items: list[list[Any]], token: str | None, remaining: int | None
    ) -> None:
        """Answer with a page of a list."""
        if not self.done:
            self.done = True
            self._origin.reply(RESPONSE, (200, revision, items, token, remaining))
            self._settle(self, 200, revision)

    def fail(self, error: StatusError) -> None:
        """Answer with a Status."""
        if not self.done:
            self.done = True
            self._origin.reply(RESPONSE, (error.code, 0, codec.encode_value(error.status())))
            self._settle(self, error.code, 0)

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
