"""Clients that would rather hear nothing than old news: the metadata ``hasleader`` (etcd's name).

A member that is cut off from the others keeps its watches open, and they say nothing. A client
that asks with ``hasleader: true`` is refused by such a member, and its streams end, so that it goes
to another one; Kubernetes' API server watches like this. etcd: ``clientv3.WithRequireLeader``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from raftstore.errors import NO_LEADER, StoreError

METADATA: Final = b"hasleader"
WANTED: Final = b"true"
# An election's time, and how many in a row have to end without a leader (etcd: the same).
LOOK_S: Final = 1.0
MAX_LOOKS_WITHOUT: Final = 3


class LeaderRequirement:
    """The calls of an endpoint that continue only while its member knows a leader."""

    def __init__(self, has_leader: Callable[[], bool]) -> None:
        self._has_leader = has_leader
        self._scopes: dict[trio.CancelScope, None] = {}

    async def run(self) -> None:
        """End the calls when there has been no leader for a while; until cancelled."""
        looks_without = 0
        while True:
            await trio.sleep(LOOK_S)
            looks_without = 0 if self._has_leader() else looks_without + 1
            if looks_without >= MAX_LOOKS_WITHOUT:
                for scope in self._scopes:
                    scope.cancel()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Do something that needs a leader.

        Raises:
            StoreError: there is none, or none any more.
        """
        if not self._has_leader():
            raise StoreError(*NO_LEADER)
        with trio.CancelScope() as scope:
            self._scopes[scope] = None
            try:
                yield
            finally:
                del self._scopes[scope]
        if scope.cancelled_caught:
            raise StoreError(*NO_LEADER)
