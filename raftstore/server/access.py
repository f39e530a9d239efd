"""Who asks, and whether he may: what stands between clients and a member while auth is on.

Theory of operation. A client logs in (``authenticate [name, password]``) and gets a token; requests
then come as ``with_token [token, op, fields]``. Who the token stands for is found out where

- a write arrives: it is proposed as ``as_user [user, revision, op, fields]``, judged when applied;
- a read is answered, so that it is judged by the permissions of the state that it shows;
- anything else arrives.

While auth is off, a member meets this module only when such a request comes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from raftstore.auth import (
    ANONYMOUS,
    AS_USER,
    CLUSTER,
    INTERNAL_OPS,
    Auth,
    Identity,
    hash_password,
    verify_password,
)
from raftstore.auth.passwords import SALT_BYTES
from raftstore.auth.policy import PUBLIC_OPS
from raftstore.auth.refusals import (
    AUTH_FAILED,
    AUTH_NOT_ENABLED,
    AUTH_OLD_REVISION,
    USER_EMPTY,
)
from raftstore.auth.section import ADD_USER, ASSIGN_TOKEN, SET_PASSWORD
from raftstore.auth.tokens import digest
from raftstore.errors import TOO_MANY_REQUESTS, Status, StoreError
from raftstore.mvcc import Store, check_request
from raftstore.server.answers import Answers
from raftstore.server.credentials import Credentials, SeededEntropy
from raftstore.server.requests import ClientHandle, Respond
from raftstore.wire import WITH_TOKEN

AUTHENTICATE: Final = "authenticate"
USER_ADD: Final = "auth_user_add"
USER_CHANGE_PASSWORD: Final = "auth_user_change_password"  # noqa: S105 - the name of a request
# Requests that `Access.receive` takes whether auth is on or off.
ACCESS_OPS: Final = frozenset((WITH_TOKEN, AUTHENTICATE, USER_ADD, USER_CHANGE_PASSWORD))
ACCOUNT_READS: Final = frozenset(
    ("auth_status", "auth_user_get", "auth_user_list", "auth_role_get", "auth_role_list")
)
ACCOUNT_WRITES: Final = frozenset(
    (
        "auth_enable",
        "auth_disable",
        "auth_user_delete",
        "auth_user_grant_role",
        "auth_user_revoke_role",
        "auth_role_add",
        "auth_role_delete",
        "auth_role_grant_permission",
        "auth_role_revoke_permission",
    )
)
JUDGED_WHEN_APPLIED: Final = ACCOUNT_WRITES | {"put", "delete_range", "txn", "lease_revoke"}
HASHED: Final = {USER_ADD: ADD_USER, USER_CHANGE_PASSWORD: SET_PASSWORD}
PERMISSION: Final = (int, bytes, bytes)
SHAPES: Final[dict[str, tuple[type, ...]]] = {
    WITH_TOKEN: (str, str, list),
    AUTHENTICATE: (str, str),
    USER_ADD: (str, str, bool),
    USER_CHANGE_PASSWORD: (str, str),
    "auth_enable": (),
    "auth_disable": (),
    "auth_status": (),
    "auth_user_get": (str,),
    "auth_user_list": (),
    "auth_user_delete": (str,),
    "auth_user_grant_role": (str, str),
    "auth_user_revoke_role": (str, str),
    "auth_role_add": (str,),
    "auth_role_get": (str,),
    "auth_role_list": (),
    "auth_role_delete": (str,),
    "auth_role_grant_permission": (str, object),
    "auth_role_revoke_permission": (str, bytes, bytes),
}
# How many fields a WatchCreateRequest has; what stands behind them is the token.
WATCH_FIELDS: Final = 6
# Hashes under way at one member; who comes then is asked to come later.
MAX_JOBS: Final = 64
MAX_ATTEMPTS: Final = 3
MAX_CERTIFICATE_NAMES: Final = 1_000
TOKEN_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEF"  # noqa: S105 - an alphabet
TOKEN_LENGTH: Final = 32

Route = Callable[[str, list[Any], Respond], None]


class Access:
    """The guard of one member. `dispatch`, `submit`, `read` are what the member does by itself."""

    def __init__(
        self,
        store: Store,
        answers: Answers,
        credentials: Credentials,
        fallback_entropy: SeededEntropy,
        now_ns: Callable[[], int],
        routes: tuple[Route, Route, Route],
    ) -> None:
        self._store = store
        self._answers = answers
        self._now_ns = now_ns
        self._dispatch, self._submit, self._read = routes
        self._entropy = credentials.entropy or fallback_entropy
        self._offload = credentials.offload
        self._cost = credentials.password_cost
        self._decoy = ""
        self._jobs = 0
        self._certificate_tokens: dict[str, str] = {}
        self.auth = Auth(store.apply_unshielded, store.header, self._leased_keys)
        self.auth.on_switch.append(self._switched)
        store.extend(self.auth, INTERNAL_OPS)
        answers.own[WITH_TOKEN] = self._answer
        for name in sorted(ACCOUNT_READS):
            answers.own[name] = partial(self._read_accounts, name)

    def receive(self, client: ClientHandle, op: str, fields: list[Any], respond: Respond) -> None:
        """Take a request; refusals, and malformed ones, are raised."""
        token = ""
        if op == WITH_TOKEN:
            _check_shape(op, fields)
            token, op, fields = fields
            if op == WITH_TOKEN:
                raise ValueError("a token within a token")
        _check_shape(op, fields)
        if op == AUTHENTICATE:
            name, password = fields
            self._authenticate(name, password, respond)
            return
        check_request(op, fields)
        who = ANONYMOUS
        if self.auth.enabled and op not in PUBLIC_OPS:
            who = CLUSTER if client is None else self.auth.identify(token, self._now_ns())
        if op in HASHED:
            self._propose_hashed(who, op, fields, respond)
        elif self.auth.enabled:
            self._admit(who, token, op, fields, respond)
        else:
            self._dispatch(op, fields, respond)

    def _admit(
        self, who: Identity, token: str, op: str, fields: list[Any], respond: Respond
    ) -> None:
        if op in JUDGED_WHEN_APPLIED:
            self._submit(AS_USER, [*who, op, fields], respond)
        elif op == "range" or op in ACCOUNT_READS:
            self._read(WITH_TOKEN, [token, op, fields], respond)
        elif op == "lease_time_to_live":
            self._dispatch(op, fields, partial(self._if_keys_are_readable, token, respond))
        else:
            self.auth.check(who, op, fields)
            self._dispatch(op, fields, respond)

    def check_watch(self, fields: list[Any]) -> None:
        """Return if the range may be watched; the token stands behind the request's fields.

        Raises:
            StoreError: it may not.
        """
        token = "".join(fields[WATCH_FIELDS:])
        who = self.auth.identify(token, self._now_ns())
        self.auth.check_read(who, (fields[0] or b"\0",), fields[1])

    def token_of_certificate(self, name: str) -> str:
        """A token, for this member only, of the user whom a client certificate names."""
        if not self.auth.enabled:
            return ""
        now_ns = self._now_ns()
        token = self._certificate_tokens.get(name, "")
        if not token or self.auth.tokens.user(token, now_ns) != name:
            if len(self._certificate_tokens) >= MAX_CERTIFICATE_NAMES:
                self._certificate_tokens.clear()
            token = self._certificate_tokens[name] = self._new_token()
            self.auth.tokens.assign(digest(token), name, now_ns)
        return token

    # Answers

    def _answer(self, fields: list[Any]) -> list[Any]:
        """A read whose turn has come."""
        token, op, inner = fields
        try:
            if self.auth.enabled:
                self.auth.check(self.auth.identify(token, self._now_ns()), op, inner)
            if op == "range":
                return self._store.read_wire(op, inner, self._now_ns())
            return self._read_accounts(op, inner)
        except StoreError as refusal:
            return refusal.to_wire()

    def _read_accounts(self, op: str, fields: list[Any]) -> list[Any]:
        try:
            return [0, [self._store.header(), *self.auth.readers[op](*fields)]]
        except StoreError as refusal:
            return refusal.to_wire()

    def _if_keys_are_readable(self, token: str, respond: Respond, payload: list[Any]) -> None:
        """Hand a lease's keys on to who may read them all."""
        if payload[0] == 0 and payload[1][4]:
            try:
                who = self.auth.identify(token, self._now_ns())
                self.auth.check_read(who, payload[1][4])
            except StoreError as refusal:
                payload = refusal.to_wire()
        respond(payload)

    def _leased_keys(self, lease_id: int) -> list[bytes]:
        lease = self._store.leases.by_id.get(lease_id)
        return [] if lease is None else sorted(lease.keys)

    def _switched(self, on: bool) -> None:
        """Bare requests that are on their way were made when every client could do everything."""
        if on:
            shielded = JUDGED_WHEN_APPLIED | set(HASHED.values())
            self._store.shield(shielded, lambda _fields, _now_ns: list(USER_EMPTY))
            self._answers.own["range"] = lambda _fields: list(USER_EMPTY)
        else:
            self._store.unshield()
            self._answers.own.pop("range", None)

    # Passwords and tokens

    def _propose_hashed(self, who: Identity, op: str, fields: list[Any], respond: Respond) -> None:
        """Propose the request with the password's hash in its place."""
        name, password, *options = fields
        if not name and op == USER_ADD:
            raise StoreError(*USER_EMPTY)

        def propose(password_hash: str) -> None:
            log_op, log_fields = HASHED[op], [name, password_hash, *options]
            if self.auth.enabled:
                self._submit(AS_USER, [*who, log_op, log_fields], respond)
            else:
                self._submit(log_op, log_fields, respond)

        if options and options[0]:
            propose("")
            return
        self.auth.check_admin(who)
        salt = self._entropy(SALT_BYTES)
        self._run(partial(hash_password, password, salt, self._cost), propose, respond)

    def _authenticate(self, name: str, password: str, respond: Respond, attempt: int = 1) -> None:
        if not self.auth.enabled:
            raise StoreError(*AUTH_NOT_ENABLED)
        accounts = self.auth.accounts
        user = accounts.users.get(name)
        known = user is not None and not user.no_password
        # An unknown name takes as long as a wrong password.
        kept = user.password_hash if user is not None and known else self._decoy_hash()
        revision = accounts.revision

        def judge(right: bool) -> None:
            if right and known:
                self._assign(name, password, revision, respond, attempt)
            else:
                respond(list(AUTH_FAILED))

        self._run(partial(verify_password, password, kept), judge, respond)

    def _assign(
        self, name: str, password: str, revision: int, respond: Respond, attempt: int
    ) -> None:
        token = self._new_token()

        def assigned(payload: list[Any]) -> None:
            if payload[0] == 0:
                respond([0, [payload[1][0], token]])
            elif Status(*payload) == AUTH_OLD_REVISION and attempt < MAX_ATTEMPTS:
                # The account may have changed since the password was looked at.
                try:
                    self._authenticate(name, password, respond, attempt + 1)
                except StoreError as refusal:
                    respond(refusal.to_wire())
            else:
                respond(payload)

        self._submit(ASSIGN_TOKEN, [name, digest(token), revision], assigned)

    def _run(self, job: Callable[[], Any], then: Callable[[Any], None], respond: Respond) -> None:
        if self._jobs >= MAX_JOBS:
            raise StoreError(*TOO_MANY_REQUESTS)
        self._jobs += 1

        def done(result: Any) -> None:
            self._jobs -= 1
            try:
                then(result)
            except StoreError as refusal:
                respond(refusal.to_wire())

        self._offload(job, done)

    def _decoy_hash(self) -> str:
        if not self._decoy:
            self._decoy = hash_password("", self._entropy(SALT_BYTES), self._cost)
        return self._decoy

    def _new_token(self) -> str:
        """Letters and the revision of the accounts, in the form of etcd's simple tokens."""
        letters = (TOKEN_LETTERS[byte % 32] for byte in self._entropy(TOKEN_LENGTH))
        return f"{''.join(letters)}.{self.auth.accounts.revision}"


def _check_shape(op: str, fields: list[Any]) -> None:
    """What is applied must not fail: the fields have to be of the types that they should be."""
    shape = SHAPES.get(op)
    if shape is None:
        return
    for value, kind in zip(fields, shape, strict=True):
        if not isinstance(value, kind):
            raise TypeError(f"{op}: {kind.__name__} expected")
    if op == "auth_role_grant_permission" and fields[1] is not None:
        for value, kind in zip(fields[1], PERMISSION, strict=True):
            if not isinstance(value, kind):
                raise TypeError(f"{op}: {kind.__name__} expected")
