"""How many requests may be under way where priority and fairness are off: beyond that, 429.

Mutating and read-only requests have limits of their own, as in the real server's max-in-flight
filter, so that reads are served while writes wait for a store without a quorum.
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api import errors
from k8sactors.apiserver.call import Call

RETRY_AFTER_SECONDS: Final = 1


class MaxInFlight:
    """Counts calls under way."""

    def __init__(self, max_mutating: int, max_readonly: int) -> None:
        self.rejected = 0
        self._max_mutating = max_mutating
        self._max_readonly = max_readonly
        self._mutating: dict[Call, None] = {}
        self._readonly: dict[Call, None] = {}

    def enter(self, call: Call) -> bool:
        """Count a call.

        Raises:
            StatusError: 429, too many are under way.
        """
        counted = self._readonly if call.readonly else self._mutating
        if len(counted) >= (self._max_readonly if call.readonly else self._max_mutating):
            self.rejected += 1
            text = "Too many requests, please try again later."
            raise errors.too_many_requests(text, RETRY_AFTER_SECONDS)
        counted[call] = None
        return True

    def leave(self, call: Call) -> None:
        """A call was answered."""
        del (self._readonly if call.readonly else self._mutating)[call]

    def enter_other(self, _request: Any, _objects: int = 0) -> bool:
        """What is no call is not counted."""
        return True

    def leave_other(self, _request: Any) -> None:
        """See `enter_other`."""

    def in_flight(self, *, readonly: bool) -> int:
        """How many calls are under way."""
        return len(self._readonly if readonly else self._mutating)
