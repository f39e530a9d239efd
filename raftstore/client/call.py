"""One request on its way, and what its refusals mean for trying again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs

from raftstore.client.connection import After
from raftstore.errors import (
    NO_LEADER,
    NOT_FOR_LEARNERS,
    NOT_LEADER,
    STOPPED,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    UNHEALTHY,
    RaftStoreError,
)
from raftstore.units import SECOND

OnFields = Callable[[list[Any]], None]
OnError = Callable[[RaftStoreError], None]

DEFAULT_TIMEOUT_NS: Final = 10 * SECOND

# Carrying these out twice does no more than once.
SAFE_OPS: Final = frozenset(
    (
        "range",
        "hash_kv",
        "lease_time_to_live",
        "lease_leases",
        "lease_keep_alive",
        "member_list",
        "status",
        "authenticate",
    )
)
# The member refused before it proposed anything.
NOT_PROPOSED: Final = frozenset(
    (NO_LEADER, NOT_LEADER, STOPPED, TOO_MANY_REQUESTS, NOT_FOR_LEARNERS)
)
# Answers for certain, though their code would leave it open.
CERTAIN: Final = frozenset((UNHEALTHY,))
# The member does not know what became of its proposal; nor does a server that fails in any other
# way, or one that something between it and the client answers for.
FATE_OPEN_CODES: Final = frozenset((UNAVAILABLE, "DeadlineExceeded", "Canceled", "Internal"))


@attrs.define(eq=False)
class Call:
    """A request that waits for its answer. `sent`: it may have reached a member."""

    number: int
    op: str
    fields: list[Any]
    on_fields: OnFields
    on_error: OnError
    deadline_tick: int
    attempts: int = 0
    token: str = ""
    sent: bool = False

    @property
    def safe(self) -> bool:
        """Whether it may be sent again whatever became of it."""
        return self.op in SAFE_OPS


class RequestSender(Protocol):
    """What sends a request whose fields are those of the wire."""

    @abstractmethod
    def call_wire(
        self,
        op: str,
        fields: list[Any],
        on_fields: OnFields,
        on_error: OnError,
        timeout_ns: int = DEFAULT_TIMEOUT_NS,
    ) -> None:
        """Send a request; exactly one of the callbacks is called, in a later turn."""


class Caller(RequestSender, Protocol):
    """What sends requests for parts of a client: the client itself."""

    @property
    def after(self) -> After:
        """Starts a timer."""
