"""What a test may do to the API that its client sees: one method for each kind of fault.

All fixtures have these methods. They hit the requests of every user that is no component of the
cluster itself (kubelet, scheduler, controllers), or of the `user` that is named. Times are seconds
of the cluster's clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, TypedDict, Unpack

import attrs

WRITES: Final = ("create", "update", "patch", "delete", "deletecollection")
UPDATES: Final = ("update", "patch")
REQUESTS: Final = ("get", "list", *WRITES)
INTERNAL_ERROR: Final = 500


class WhichCollection(TypedDict, total=False):
    """Of the requests that name a resource, only these are hit; what is not given is each."""

    namespace: str
    # Who asks: the name of a user.
    user: str


class Which(WhichCollection, total=False):
    """As above, and only those that name one object."""

    name: str


@attrs.frozen
class FaultHandle:
    """A fault that was ordered: how often it has struck, and its end."""

    _hits: Callable[[], int]
    _end: Callable[[], None]

    @property
    def hits(self) -> int:
        """How many requests, watches or reads it has hit."""
        return self._hits()

    def end(self) -> None:
        """Let it strike no more; stale reads catch up. Idempotent."""
        self._end()


class FaultHelpers(ABC):
    """The faults, as methods; an implementation carries them out, here or in another process."""

    @abstractmethod
    def order(self, kind: str, pattern: dict[str, Any], settings: dict[str, Any]) -> FaultHandle:
        """Order a fault: `pattern` are the fields of a `RequestPattern`, all is plain data.

        Raises:
            ValueError: the resource is not served.
        """

    def fail_next(
        self,
        verb: str | None = None,
        resource: str | None = None,
        *,
        code: int = INTERNAL_ERROR,
        reason: str | None = None,
        message: str | None = None,
        retry_after_s: int = 0,
        times: int = 1,
        **which: Unpack[Which],
    ) -> FaultHandle:
        """Refuse the next request with a status; it is not carried out.

        `verb` is one of get, list, watch, create, update, patch, delete and deletecollection; None
        is each but watch. `resource` is a plural, with its group behind a dot or without; None is
        each.

        Raises:
            ValueError: the resource is not served.
        """
        settings = {
            "code": code,
            "reason": reason,
            "message": message,
            "retry_after_s": retry_after_s,
            "times": times,
        }
        verbs = REQUESTS if verb is None else (verb,)
        return self.order("fail", _pattern(verbs, resource, which), settings)

    def conflict_next(
        self,
        resource: str | None = None,
        *,
        verb: str | None = None,
        times: int = 1,
        **which: Unpack[Which],
    ) -> FaultHandle:
        """Let another writer be faster: the next update or patch is answered with 409.

        The object really has a new resourceVersion then, so the same request fails again for as
        long as it carries the old one.

        Raises:
            ValueError: the resource is not served.
        """
        verbs = UPDATES if verb is None else (verb,)
        pattern = _pattern(verbs, resource, which)
        return self.order("conflict", pattern, {"times": times})

    def lose_answer(
        self,
        verb: str | None = None,
        resource: str | None = None,
        *,
        times: int = 1,
        **which: Unpack[Which],
    ) -> FaultHandle:
        """Carry out the next write, and break the connection instead of answering.

        Raises:
            ValueError: the resource is not served.
        """
        verbs = WRITES if verb is None else (verb,)
        pattern = _pattern(verbs, resource, which)
        return self.order("lose", pattern, {"times": times})

    def slow(
        self,
        verb: str | None = None,
        resource: str | None = None,
        *,
        seconds: float,
        times: int | None = 1,
        **which: Unpack[Which],
    ) -> FaultHandle:
        """Let the next requests (`times` None: all until `end`) wait before they are served.

        Raises:
            ValueError: the resource is not served.
        """
        verbs = REQUESTS if verb is None else (verb,)
        pattern = _pattern(verbs, resource, which)
        return self.order("slow", pattern, {"seconds": seconds, "times": times})

    def drop_watch(
        self, resource: str | None = None, **which: Unpack[WhichCollection]
    ) -> FaultHandle:
        """End all watches that are open now; `hits` tells how many. Their clients may resume.

        Raises:
            ValueError: the resource is not served.
        """
        return self.order("drop", _pattern(("watch",), resource, which), {})

    def stale_reads(
        self,
        resource: str | None = None,
        *,
        seconds: float = 10.0,
        **which: Unpack[WhichCollection],
    ) -> FaultHandle:
        """Serve reads from a cache that stands still, for so long or until `end`.

        That is what a watch cache may do: watches tell nothing new, and get and list with
        `resourceVersion=0` answer with the state of now. Reads that ask for the newest state, as
        those without a resourceVersion do, get it. Informers see nothing but watches.

        Raises:
            ValueError: the resource is not served.
        """
        verbs = ("get", "list", "watch")
        pattern = _pattern(verbs, resource, which)
        return self.order("stale", pattern, {"seconds": seconds})

    def expire_history(
        self, resource: str | None = None, **which: Unpack[WhichCollection]
    ) -> FaultHandle:
        """Compact the store and end all watches that are open now.

        A watch that is resumed where it was gets 410, and so does a list that is continued; their
        clients have to list again.

        Raises:
            ValueError: the resource is not served.
        """
        return self.order("expire", _pattern(("watch",), resource, which), {})


def _pattern(
    verbs: tuple[str, ...], resource: str | None, which: Which | WhichCollection
) -> dict[str, Any]:
    return {"verbs": list(verbs), "resource": resource, **which}
