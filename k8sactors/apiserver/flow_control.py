"""How many requests may be under way: beyond that, 429 and a time to wait.

Mutating and read-only requests have limits of their own, as in the real server's max-in-flight
filter, so that reading goes on while writes wait for a store without a quorum.
"""

from __future__ import annotations

from k8sactors.api import errors

RETRY_AFTER_SECONDS = 1


class FlowControl:
    """Counts requests under way."""

    def __init__(self, max_mutating: int, max_readonly: int) -> None:
        self.mutating = 0
        self.readonly = 0
        self.rejected = 0
        self._max_mutating = max_mutating
        self._max_readonly = max_readonly

    def enter(self, *, readonly: bool) -> None:
        """Count a request.

        Raises:
            StatusError: 429, too many are under way.
        """
        if readonly:
            if self.readonly >= self._max_readonly:
                self._reject()
            self.readonly += 1
        else:
            if self.mutating >= self._max_mutating:
                self._reject()
            self.mutating += 1

    def leave(self, *, readonly: bool) -> None:
        """A request was answered."""
        if readonly:
            self.readonly -= 1
        else:
            self.mutating -= 1

    def _reject(self) -> None:
        self.rejected += 1
        raise errors.too_many_requests(
            "Too many requests, please try again later.", RETRY_AFTER_SECONDS
        )
