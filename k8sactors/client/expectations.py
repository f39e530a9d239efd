"""What a controller expects to see before it acts on a key again.

After it has asked for five pods, a controller must not count its cache until the five have arrived
there, or it would ask again. Expectations lower themselves as the informer brings the news, and run
out after five minutes in case one was lost.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from k8sactors.actors import Context
from k8sactors.simulation import SECOND

EXPIRY_NS = 300 * SECOND


@attrs.define
class _Expected:
    creations: int
    deletions: int
    since_ns: int
    uids: dict[str, None] = attrs.field(factory=dict)


class ControllerExpectations:
    """Outstanding creations and deletions by key, as client-go's UIDTrackingControllerExpectations.

    Deletions are tracked by UID, so that the slow deletion of one pod, seen twice, is not taken for
    that of another.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._expected: dict[str, _Expected] = {}

    def satisfied(self, key: str) -> bool:
        """Whether the key may be acted upon."""
        expected = self._expected.get(key)
        if expected is None:
            return True
        if expected.creations <= 0 and expected.deletions <= 0:
            return True
        return self._ctx.now_ns() - expected.since_ns > EXPIRY_NS

    def expect(self, key: str, creations: int, uids: Iterable[str]) -> None:
        """Replace the expectations of the key: so many will appear, and these objects will go."""
        expected = dict.fromkeys(uids)
        self._expected[key] = _Expected(creations, len(expected), self._ctx.now_ns(), expected)

    def expect_creations(self, key: str, count: int) -> None:
        """Replace the expectations of the key: `count` objects will appear."""
        self.expect(key, count, ())

    def expect_deletions(self, key: str, uids: Iterable[str]) -> None:
        """Replace the expectations of the key: these objects will go."""
        self.expect(key, 0, uids)

    def creation_observed(self, key: str) -> None:
        """An object appeared, or will not: its creation failed."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.creations -= 1

    def deletion_observed(self, key: str, uid: str) -> None:
        """An object went, or will not: its deletion failed."""
        expected = self._expected.get(key)
        if expected is not None and uid in expected.uids:
            del expected.uids[uid]
            expected.deletions -= 1

    def forget(self, key: str) -> None:
        """The key's owner is gone."""
        self._expected.pop(key, None)
