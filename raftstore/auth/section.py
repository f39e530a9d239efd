"""Authentication and authorisation as a part of the replicated state.

Theory of operation. While it is off nothing here is called: `on_switch` tells the code that guards
the requests when that changes. While it is on, a member turns a client's write into ``as_user
[user, revision, op, fields]``, which is proposed in its place; when it is applied, the permissions
of that moment decide, on all members alike. The writes of the cluster itself (a lease has expired)
carry None as the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from raftstore.auth.accounts import Accounts
from raftstore.auth.policy import KEY_OPS, OPEN_OPS, needs
from raftstore.auth.ranges import READ
from raftstore.auth.refusals import (
    AUTH_FAILED,
    AUTH_NOT_ENABLED,
    AUTH_OLD_REVISION,
    INVALID_AUTH_TOKEN,
    PERMISSION_DENIED,
    USER_EMPTY,
    USER_NOT_FOUND,
)
from raftstore.auth.tokens import Tokens
from raftstore.errors import StoreError

AS_USER: Final = "as_user"
ASSIGN_TOKEN: Final = "auth_assign_token"  # noqa: S105 - the name of a request
ADD_USER: Final = "auth_add_user"
SET_PASSWORD: Final = "auth_set_password"  # noqa: S105 - the name of a request
# Requests that members propose in place of what clients ask; clients may not make them.
INTERNAL_OPS: Final = frozenset((AS_USER, ASSIGN_TOKEN, ADD_USER, SET_PASSWORD))

Applier = Callable[[list[Any], int], list[Any]]


class Identity(NamedTuple):
    """Who asks, and the revision of the accounts by which that was found out.

    `user` "": the client has not logged in; None: the cluster itself.
    """

    user: str | None
    revision: int


ANONYMOUS: Final = Identity("", 0)
CLUSTER: Final = Identity(None, 0)


class Auth:
    """The section "auth" of one member's store."""

    name = "auth"

    def __init__(
        self,
        apply: Callable[[str, list[Any], int], list[Any]],
        header: Callable[[], list[int]],
        leased_keys: Callable[[int], Iterable[bytes]],
    ) -> None:
        self.accounts = Accounts()
        self.tokens = Tokens()
        # Called with the new state when it is switched on or off, by a request or a snapshot.
        self.on_switch: list[Callable[[bool], None]] = []
        self._apply = apply
        self._header = header
        self._leased_keys = leased_keys
        accounts = self.accounts
        self.writers: dict[str, Applier] = {
            AS_USER: self._as_user,
            ASSIGN_TOKEN: self._assign_token,
            ADD_USER: self._writer(
                lambda name, password_hash, no_password: accounts.add_user(
                    name, password_hash, no_password=no_password
                )
            ),
            SET_PASSWORD: self._writer(self._set_password),
            "auth_enable": self._writer(self._enable),
            "auth_disable": self._writer(self._disable),
            "auth_user_delete": self._writer(self._delete_user),
            "auth_user_grant_role": self._writer(accounts.grant_role),
            "auth_user_revoke_role": self._writer(accounts.revoke_role),
            "auth_role_add": self._writer(accounts.add_role),
            "auth_role_delete": self._writer(accounts.delete_role),
            "auth_role_grant_permission": self._writer(
                lambda name, permission: accounts.grant_permission(
                    name, None if permission is None else tuple(permission)
                )
            ),
            "auth_role_revoke_permission": self._writer(accounts.revoke_permission),
        }
        # Reads by name; each gives the fields of its answer behind the header.
        self.readers: dict[str, Callable[..., list[Any]]] = {
            "auth_status": lambda: [accounts.enabled, accounts.revision],
            "auth_user_get": lambda name: [accounts.user_roles(name)],
            "auth_user_list": lambda: [sorted(accounts.users)],
            "auth_role_get": lambda name: [[list(p) for p in accounts.permissions(name)]],
            "auth_role_list": lambda: [sorted(accounts.roles)],
        }

    @property
    def enabled(self) -> bool:
        """Whether permissions count."""
        return self.accounts.enabled

    # Who, and whether

    def identify(self, token: str, now_ns: int) -> Identity:
        """The owner of a token; without a token: `ANONYMOUS`.

        Raises:
            StoreError: the token is not, or no longer, valid.
        """
        if not token:
            return ANONYMOUS
        user = self.tokens.user(token, now_ns)
        if user is None:
            raise StoreError(*INVALID_AUTH_TOKEN)
        return Identity(user, self.accounts.revision)

    def check(self, who: Identity, op: str, fields: list[Any]) -> None:
        """Return if the request is permitted now.

        Raises:
            StoreError: it is not.
        """
        if who.user is None or op in OPEN_OPS or not self.accounts.enabled:
            return
        if op in KEY_OPS:
            self._check_keys(who, op, fields)
        elif not self._concerns_himself(who.user, op, fields):
            self.check_admin(who)

    def check_admin(self, who: Identity) -> None:
        """Return if the identity has the root role.

        Raises:
            StoreError: it has not.
        """
        if who.user is None or not self.accounts.enabled:
            return
        if not who.user:
            raise StoreError(*USER_EMPTY)
        if who.user not in self.accounts.users:
            raise StoreError(*USER_NOT_FOUND)
        if not self.accounts.is_root(who.user):
            raise StoreError(*PERMISSION_DENIED)

    def check_read(self, who: Identity, keys: Iterable[bytes], range_end: bytes = b"") -> None:
        """Return if all these keys, or one range, may be read.

        Raises:
            StoreError: one may not.
        """
        for key in keys:
            self._check_key(who, READ, key, range_end)

    def _check_keys(self, who: Identity, op: str, fields: list[Any]) -> None:
        for kind, key, range_end, lease in needs(op, fields):
            if not lease:
                self._check_key(who, kind, key, range_end)
            else:
                for leased in self._leased_keys(lease):
                    self._check_key(who, kind, leased, b"")

    def _check_key(self, who: Identity, kind: int, key: bytes, range_end: bytes) -> None:
        if not self.accounts.enabled or who.user is None:
            return
        if not who.revision:
            raise StoreError(*USER_EMPTY)
        if who.revision < self.accounts.revision:
            raise StoreError(*AUTH_OLD_REVISION)
        if not self.accounts.permits(who.user, kind, key, range_end):
            raise StoreError(*PERMISSION_DENIED)

    def _concerns_himself(self, user: str, op: str, fields: list[Any]) -> bool:
        """Every user may look at the own account and at its roles."""
        account = self.accounts.users.get(user)
        if account is None:
            return False
        if op == "auth_user_get":
            return bool(fields[0] == user)
        return op == "auth_role_get" and fields[0] in account.roles

    # Writes

    def _as_user(self, fields: list[Any], now_ns: int) -> list[Any]:
        user, revision, op, inner = fields
        self.check(Identity(user, revision), op, inner)
        return self._apply(op, inner, now_ns)

    def _assign_token(self, fields: list[Any], now_ns: int) -> list[Any]:
        """The password was right at that revision; a later one asks for another look."""
        user, token_digest, revision = fields
        if not self.accounts.enabled:
            raise StoreError(*AUTH_NOT_ENABLED)
        if revision != self.accounts.revision:
            raise StoreError(*AUTH_OLD_REVISION)
        if user not in self.accounts.users:
            raise StoreError(*AUTH_FAILED)
        self.tokens.assign(token_digest, user, now_ns)
        return [0, [self._header()]]

    def _set_password(self, name: str, password_hash: str) -> None:
        self.accounts.change_password(name, password_hash)
        self.tokens.drop_user(name)

    def _delete_user(self, name: str) -> None:
        self.accounts.delete_user(name)
        self.tokens.drop_user(name)

    def _enable(self) -> None:
        if not self.accounts.enabled:
            self.accounts.enable()
            self._switched()

    def _disable(self) -> None:
        if self.accounts.enabled:
            self.accounts.disable()
            self.tokens.clear()
            self._switched()

    def _switched(self) -> None:
        for notify in self.on_switch:
            notify(self.accounts.enabled)

    def _writer(self, write: Callable[..., None]) -> Applier:
        def apply(fields: list[Any], _now_ns: int) -> list[Any]:
            write(*fields)
            return [0, [self._header()]]

        return apply

    # Snapshot

    def dump(self) -> Any:
        """Accounts; tokens are each member's own."""
        return self.accounts.dump()

    def load(self, data: Any) -> None:
        """Take the accounts over; tokens that were assigned meanwhile are not known here."""
        before = self.accounts.enabled
        self.accounts.load(data)
        self.tokens.clear()
        if self.accounts.enabled != before:
            self._switched()
