"""Logging in: a user's password, and the token that the store gives for it.

Nothing is done before the store asks for it: where auth is off, a client with a password is like
one without. A request that is refused for want of a (valid) token certainly was not carried out, so
it waits for a new one, and is sent again.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from raftstore.auth.refusals import (
    AUTH_NOT_ENABLED,
    AUTH_OLD_REVISION,
    INVALID_AUTH_TOKEN,
    USER_EMPTY,
)
from raftstore.client.call import Call, Caller
from raftstore.client.watch import Watch
from raftstore.errors import RaftStoreError, Status, StoreError

AUTHENTICATE: Final = "authenticate"
# The store wants to know who asks, or has forgotten it.
WANTS_TOKEN: Final = frozenset((USER_EMPTY, INVALID_AUTH_TOKEN))
# The permissions have changed since it was found out who asks.
ASK_AGAIN: Final = AUTH_OLD_REVISION


class LoginOwner(Caller, Protocol):
    """The client that logs in."""

    token: str

    def retry(self, call: Call) -> None:
        """Send a call again."""

    def give_up(self, call: Call, error: RaftStoreError) -> None:
        """Fail a call."""

    def reopen(self, watch: Watch) -> None:
        """Open a watch again."""


class Login:
    """The user of one client, and who waits until he is known."""

    def __init__(self, client: LoginOwner, user: str, password: str) -> None:
        self._client = client
        self._user = user
        self._password = password
        self._asking = False
        self._calls: list[Call] = []
        self._watches: list[Watch] = []

    def takes(self, status: Status) -> bool:
        """Whether a refusal means that the request is to be sent again."""
        return bool(self._user) and (status in WANTS_TOKEN or status == ASK_AGAIN)

    def call_refused(self, call: Call, status: Status) -> None:
        """Send a call again; first get a token, unless there is a newer one than it had."""
        if status == ASK_AGAIN or call.token != self._client.token:
            self._client.retry(call)
        else:
            self._calls.append(call)
            self._ask()

    def watch_refused(self, watch: Watch) -> None:
        """Open a watch again when there is a token."""
        self._watches.append(watch)
        self._ask()

    def _ask(self) -> None:
        if not self._asking:
            self._asking = True
            fields = [self._user, self._password]
            self._client.call_wire(AUTHENTICATE, fields, self._known, self._unknown)

    def _known(self, fields: list[Any]) -> None:
        self._client.token = fields[1]
        self._resume()

    def _unknown(self, error: RaftStoreError) -> None:
        if isinstance(error, StoreError) and error.status == AUTH_NOT_ENABLED:
            # It was switched off meanwhile.
            self._client.token = ""
            self._resume()
            return
        self._asking = False
        calls, self._calls = self._calls, []
        watches, self._watches = self._watches, []
        for call in calls:
            self._client.give_up(call, error)
        for watch in watches:
            watch.fail(error)

    def _resume(self) -> None:
        self._asking = False
        calls, self._calls = self._calls, []
        watches, self._watches = self._watches, []
        for call in calls:
            self._client.retry(call)
        for watch in watches:
            self._client.reopen(watch)
