"""One request on its way, and what its refusals mean for trying again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

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

OnFields = Callable[[list[Any]], None]
OnError = Callable[[RaftStoreError], None]

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


@attrs.define(slots=True, eq=False)
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
