"""Users, roles, and whether they count: replicated, so equal on all members at equal log index.

Every change makes a new revision. A request carries the revision at which its user was identified;
one that is older when the request is applied makes it fail, because what was decided by then may no
longer hold (etcd: server/auth/store.go).
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from raftstore.auth.passwords import is_hash
from raftstore.auth.ranges import READ, READWRITE, WRITE, KeyRanges, is_valid
from raftstore.auth.refusals import (
    INVALID_AUTH_MANAGEMENT,
    PERMISSION_NOT_GIVEN,
    PERMISSION_NOT_GRANTED,
    ROLE_ALREADY_EXISTS,
    ROLE_EMPTY,
    ROLE_NOT_FOUND,
    ROLE_NOT_GRANTED,
    ROOT_ROLE_NOT_EXIST,
    ROOT_USER_NOT_EXIST,
    USER_ALREADY_EXISTS,
    USER_EMPTY,
    USER_NOT_FOUND,
)
from raftstore.errors import StoreError

# Name of the user and of the role that may do everything.
ROOT: Final = "root"
ROOT_PERMISSION: Final = (READWRITE, b"", b"\0")
FIRST_REVISION: Final = 1

# Kind, key, range_end.
Permission = tuple[int, bytes, bytes]


@attrs.define
class User:
    """An account; without a password it can only be reached by a certificate."""

    password_hash: str
    no_password: bool
    roles: list[str] = attrs.Factory(list)


class Accounts:
    """The accounts, and the permissions that follow from them. Refusals are `StoreError`."""

    def __init__(self) -> None:
        self.enabled = False
        self.revision = FIRST_REVISION
        self.users: dict[str, User] = {}
        self.roles: dict[str, list[Permission]] = {}
        self._ranges: dict[str, tuple[KeyRanges, KeyRanges]] = {}

    # What follows from them

    def is_root(self, user: str) -> bool:
        """Whether the user exists and has the root role."""
        account = self.users.get(user)
        return account is not None and ROOT in account.roles

    def permits(self, user: str, kind: int, key: bytes, range_end: bytes) -> bool:
        """Whether the user's roles together cover the range, for reading or for writing."""
        if user not in self.users:
            return False
        ranges = self._ranges.get(user)
        if ranges is None:
            ranges = self._ranges[user] = (self._merged(user, READ), self._merged(user, WRITE))
        return self.is_root(user) or ranges[kind].covers(key, range_end)

    def _merged(self, user: str, kind: int) -> KeyRanges:
        return KeyRanges(
            (key, range_end)
            for role in self.users[user].roles
            for granted, key, range_end in self.roles.get(role, ())
            if granted in {kind, READWRITE}
        )

    # Switching

    def enable(self) -> None:
        """Let permissions count; there must be a root user to undo it."""
        root = self.users.get(ROOT)
        if root is None:
            raise StoreError(*ROOT_USER_NOT_EXIST)
        if ROOT not in root.roles:
            raise StoreError(*ROOT_ROLE_NOT_EXIST)
        self.enabled = True

    def disable(self) -> None:
        """Let every client do everything again."""
        if self.enabled:
            self.enabled = False
            self._changed()

    # Users

    def add_user(self, name: str, password_hash: str, *, no_password: bool) -> None:
        """Add a user without roles."""
        if not name:
            raise StoreError(*USER_EMPTY)
        if name in self.users:
            raise StoreError(*USER_ALREADY_EXISTS)
        self.users[name] = User(_kept(password_hash, no_password=no_password), no_password)
        self._changed()

    def delete_user(self, name: str) -> None:
        """Delete a user; not root while permissions count."""
        if self.enabled and name == ROOT:
            raise StoreError(*INVALID_AUTH_MANAGEMENT)
        self._user(name)
        del self.users[name]
        self._changed()

    def change_password(self, name: str, password_hash: str) -> None:
        """Replace the password; a user without one stays without one."""
        user = self._user(name)
        user.password_hash = _kept(password_hash, no_password=user.no_password)
        self._changed()

    def grant_role(self, name: str, role: str) -> None:
        """Give a role; root's needs not exist."""
        user = self._user(name)
        if role != ROOT:
            self._role(role)
        if role not in user.roles:
            user.roles = sorted((*user.roles, role))
            self._changed()

    def revoke_role(self, name: str, role: str) -> None:
        """Take a role back; not root's from root while permissions count."""
        if self.enabled and name == role == ROOT:
            raise StoreError(*INVALID_AUTH_MANAGEMENT)
        user = self._user(name)
        if role not in user.roles:
            raise StoreError(*ROLE_NOT_GRANTED)
        user.roles = [kept for kept in user.roles if kept != role]
        self._changed()

    def user_roles(self, name: str) -> list[str]:
        """Sorted."""
        return list(self._user(name).roles)

    def _user(self, name: str) -> User:
        user = self.users.get(name)
        if user is None:
            raise StoreError(*USER_NOT_FOUND)
        return user

    # Roles

    def add_role(self, name: str) -> None:
        """Add a role without permissions."""
        if not name:
            raise StoreError(*ROLE_EMPTY)
        if name in self.roles:
            raise StoreError(*ROLE_ALREADY_EXISTS)
        self.roles[name] = []
        self._changed()

    def delete_role(self, name: str) -> None:
        """Delete a role, and take it from all users; not root's while permissions count."""
        if self.enabled and name == ROOT:
            raise StoreError(*INVALID_AUTH_MANAGEMENT)
        self._role(name)
        del self.roles[name]
        for user in self.users.values():
            user.roles = [kept for kept in user.roles if kept != name]
        self._changed()

    def grant_permission(self, name: str, permission: Permission | None) -> None:
        """Add a permission to a role; one on the same range is replaced."""
        if permission is None:
            raise StoreError(*PERMISSION_NOT_GIVEN)
        kind, key, range_end = permission
        if not READ <= kind <= READWRITE or not is_valid(key, range_end):
            raise StoreError(*INVALID_AUTH_MANAGEMENT)
        kept = [other for other in self._role(name) if other[1:] != (key, range_end)]
        self.roles[name] = sorted((*kept, (kind, key, range_end)), key=lambda other: other[1:])
        self._changed()

    def revoke_permission(self, name: str, key: bytes, range_end: bytes) -> None:
        """Take back a permission, named by exactly the range that was granted."""
        permissions = self._role(name)
        kept = [other for other in permissions if other[1:] != (key, range_end)]
        if len(kept) == len(permissions):
            raise StoreError(*PERMISSION_NOT_GRANTED)
        self.roles[name] = kept
        self._changed()

    def permissions(self, name: str) -> list[Permission]:
        """By key; root's role may do everything, whatever was granted."""
        permissions = self._role(name)
        return [ROOT_PERMISSION] if name == ROOT else list(permissions)

    def _role(self, name: str) -> list[Permission]:
        permissions = self.roles.get(name)
        if permissions is None:
            raise StoreError(*ROLE_NOT_FOUND)
        return permissions

    # All of it

    def _changed(self) -> None:
        self.revision += 1
        self._ranges.clear()

    def dump(self) -> list[Any]:
        """Plain data for msgpack."""
        users = [
            [name, user.password_hash, user.no_password, list(user.roles)]
            for name, user in self.users.items()
        ]
        roles = [[name, list(permissions)] for name, permissions in self.roles.items()]
        return [self.enabled, self.revision, users, roles]

    def load(self, data: Any) -> None:
        """What `dump` gave; None: no accounts."""
        self.enabled, self.revision, users, roles = data or (False, FIRST_REVISION, [], [])
        self.users = {
            name: User(password_hash, no_password, list(granted))
            for name, password_hash, no_password, granted in users
        }
        self.roles = {
            name: [(kind, key, range_end) for kind, key, range_end in permissions]
            for name, permissions in roles
        }
        self._ranges.clear()


def _kept(password_hash: str, *, no_password: bool) -> str:
    """The hash to keep. Anything else is refused, so that no password gets into the state."""
    if no_password:
        return ""
    if not is_hash(password_hash):
        raise StoreError(*INVALID_AUTH_MANAGEMENT)
    return password_hash
