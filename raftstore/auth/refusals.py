"""What is said no to, with etcd's gRPC codes and texts (``api/v3rpc/rpctypes/error.go``)."""

from __future__ import annotations

from typing import Final

from raftstore.errors import FAILED_PRECONDITION, INVALID_ARGUMENT, Status

AUTH_FAILED: Final = Status(
    INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password"
)
AUTH_NOT_ENABLED: Final = Status(FAILED_PRECONDITION, "etcdserver: authentication is not enabled")
AUTH_OLD_REVISION: Final = Status(INVALID_ARGUMENT, "etcdserver: revision of auth store is old")
INVALID_AUTH_MANAGEMENT: Final = Status(INVALID_ARGUMENT, "etcdserver: invalid auth management")
INVALID_AUTH_TOKEN: Final = Status("Unauthenticated", "etcdserver: invalid auth token")
PERMISSION_DENIED: Final = Status("PermissionDenied", "etcdserver: permission denied")
PERMISSION_NOT_GIVEN: Final = Status(INVALID_ARGUMENT, "etcdserver: permission not given")
PERMISSION_NOT_GRANTED: Final = Status(
    FAILED_PRECONDITION, "etcdserver: permission is not granted to the role"
)
ROLE_ALREADY_EXISTS: Final = Status(FAILED_PRECONDITION, "etcdserver: role name already exists")
ROLE_EMPTY: Final = Status(INVALID_ARGUMENT, "etcdserver: role name is empty")
ROLE_NOT_FOUND: Final = Status(FAILED_PRECONDITION, "etcdserver: role name not found")
ROLE_NOT_GRANTED: Final = Status(FAILED_PRECONDITION, "etcdserver: role is not granted to the user")
ROOT_ROLE_NOT_EXIST: Final = Status(
    FAILED_PRECONDITION, "etcdserver: root user does not have root role"
)
ROOT_USER_NOT_EXIST: Final = Status(FAILED_PRECONDITION, "etcdserver: root user does not exist")
USER_ALREADY_EXISTS: Final = Status(FAILED_PRECONDITION, "etcdserver: user name already exists")
USER_EMPTY: Final = Status(INVALID_ARGUMENT, "etcdserver: user name is empty")
USER_NOT_FOUND: Final = Status(FAILED_PRECONDITION, "etcdserver: user name not found")
