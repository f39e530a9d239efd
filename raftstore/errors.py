"""The errors of the store, with etcd's gRPC codes and texts.

The texts are those of etcd's ``api/v3rpc/rpctypes/error.go``: callers (and people) match on them::

    RaftStoreError
    ├── StoreError                 an answer of the store: code + message, travels on the wire
    │   └── WatchCancelledError    the store ended a watch, perhaps because of compaction
    ├── ConfigurationError         a member cannot be what it is told to be: files, addresses
    └── ClientError                what the client itself found out
        ├── UnavailableError       surely not carried out: no endpoint took the request in time
        ├── UnknownOutcomeError    a write was sent and no answer came: it may take effect
        └── ClientClosedError      the client was closed while the request waited
"""

from __future__ import annotations

from typing import Final, NamedTuple


class RaftStoreError(Exception):
    """Anything that this package raises on purpose."""


class Status(NamedTuple):
    """A gRPC status code by name, and etcd's message: ``raise StoreError(*COMPACTED)``."""

    code: str
    message: str


class StoreError(RaftStoreError):
    """The store refused a request: a gRPC status code by name, and etcd's message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"

    @property
    def status(self) -> Status:
        """Code and message, comparable with the constants of this module."""
        return Status(self.code, self.message)

    def to_wire(self) -> list[str]:
        """The error as it stands in a ``store.response`` payload."""
        return [self.code, self.message]


class WatchCancelledError(StoreError):
    """The store ended a watch. `compact_revision` > 0: history that it needed is gone."""

    def __init__(self, code: str, message: str, compact_revision: int) -> None:
        super().__init__(code, message)
        self.compact_revision = compact_revision


class ConfigurationError(RaftStoreError):
    """What a member is told to be cannot work; the message names the option or file to mend."""


class ClientError(RaftStoreError):
    """The client could not get an answer."""


class UnavailableError(ClientError):
    """No endpoint served the request in time; it certainly did not take effect."""


class UnknownOutcomeError(ClientError):
    """A write was sent and its answer did not come back: it may have happened, or happen later."""


class ClientClosedError(ClientError):
    """The client was closed before the request was answered."""


INVALID_ARGUMENT: Final = "InvalidArgument"
NOT_FOUND: Final = "NotFound"
FAILED_PRECONDITION: Final = "FailedPrecondition"
OUT_OF_RANGE: Final = "OutOfRange"
RESOURCE_EXHAUSTED: Final = "ResourceExhausted"
UNAVAILABLE: Final = "Unavailable"

EMPTY_KEY: Final = Status(INVALID_ARGUMENT, "etcdserver: key is not provided")
KEY_NOT_FOUND: Final = Status(INVALID_ARGUMENT, "etcdserver: key not found")
VALUE_PROVIDED: Final = Status(INVALID_ARGUMENT, "etcdserver: value is provided")
LEASE_PROVIDED: Final = Status(INVALID_ARGUMENT, "etcdserver: lease is provided")
TOO_MANY_OPERATIONS: Final = Status(
    INVALID_ARGUMENT, "etcdserver: too many operations in txn request"
)
DUPLICATE_KEY: Final = Status(INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request")
INVALID_SORT_OPTION: Final = Status(INVALID_ARGUMENT, "etcdserver: invalid sort option")
REQUEST_TOO_LARGE: Final = Status(INVALID_ARGUMENT, "etcdserver: request is too large")
COMPACTED: Final = Status(OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")
FUTURE_REVISION: Final = Status(
    OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"
)
NO_SPACE: Final = Status(RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
CORRUPT_CLUSTER: Final = Status("DataLoss", "etcdserver: corrupt cluster")
LEASE_NOT_FOUND: Final = Status(NOT_FOUND, "etcdserver: requested lease not found")
LEASE_EXISTS: Final = Status(FAILED_PRECONDITION, "etcdserver: lease already exists")
LEASE_TTL_TOO_LARGE: Final = Status(OUT_OF_RANGE, "etcdserver: too large lease TTL")
UNKNOWN_METHOD: Final = Status("Unimplemented", "unknown method")

MEMBER_EXISTS: Final = Status(FAILED_PRECONDITION, "etcdserver: member ID already exist")
PEER_URL_EXISTS: Final = Status(FAILED_PRECONDITION, "etcdserver: Peer URLs already exists")
NOT_ENOUGH_STARTED: Final = Status(
    FAILED_PRECONDITION,
    "etcdserver: re-configuration failed due to not enough started members",
)
BAD_MEMBER_URLS: Final = Status(INVALID_ARGUMENT, "etcdserver: given member URLs are invalid")
MEMBER_NOT_FOUND: Final = Status(NOT_FOUND, "etcdserver: member not found")
NOT_A_LEARNER: Final = Status(FAILED_PRECONDITION, "etcdserver: can only promote a learner member")
LEARNER_NOT_READY: Final = Status(
    FAILED_PRECONDITION,
    "etcdserver: can only promote a learner member which is in sync with leader",
)
MEMBER_REMOVED: Final = Status(
    FAILED_PRECONDITION, "the member has been permanently removed from the cluster"
)
TOO_MANY_LEARNERS: Final = Status(
    FAILED_PRECONDITION, "etcdserver: too many learner members in cluster"
)
NOT_FOR_LEARNERS: Final = Status(UNAVAILABLE, "etcdserver: rpc not supported for learner")

# Not carried out for certain: the member refused the request before proposing it.
NO_LEADER: Final = Status(UNAVAILABLE, "etcdserver: no leader")
NOT_LEADER: Final = Status(FAILED_PRECONDITION, "etcdserver: not leader")
LEADER_CHANGED: Final = Status(UNAVAILABLE, "etcdserver: leader changed")
STOPPED: Final = Status(UNAVAILABLE, "etcdserver: server stopped")
TOO_MANY_REQUESTS: Final = Status(RESOURCE_EXHAUSTED, "etcdserver: too many requests")

# The request was proposed and its fate is open.
TIMEOUT: Final = Status(UNAVAILABLE, "etcdserver: request timed out")
TIMEOUT_LEADER_FAILED: Final = Status(
    UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure"
)
TIMEOUT_CONNECTION_LOST: Final = Status(
    UNAVAILABLE, "etcdserver: request timed out, possibly due to connection lost"
)
UNHEALTHY: Final = Status(UNAVAILABLE, "etcdserver: unhealthy cluster")
