"""Requests to move the leadership, from their arrival to the word of the new leader."""

from __future__ import annotations

from typing import Final

from raftstore.errors import (
    FAILED_PRECONDITION,
    NOT_LEADER,
    TIMEOUT,
    TOO_MANY_REQUESTS,
    StoreError,
)
from raftstore.mvcc import Store
from raftstore.raft import NO_MEMBER, RawNode, Role
from raftstore.server.requests import Request

MAX_WAITING: Final = 64


class LeaderTransfers:
    """The transfers that a leader has begun."""

    def __init__(self, store: Store, node: RawNode) -> None:
        self._store = store
        self._node = node
        self._begun: list[tuple[int, Request]] = []

    def __bool__(self) -> bool:
        return bool(self._begun)

    def begin(self, request: Request) -> None:
        """Hand over to the member that the request names.

        Raises:
            StoreError: this member does not lead, or the other one cannot.
        """
        (target,) = request.fields
        raft = self._node.raft
        if raft.role is not Role.LEADER:
            raise StoreError(*NOT_LEADER)
        if target == raft.id:
            request.respond([0, [self._store.header()]])
            return
        if not raft.may_take_over(target):
            raise StoreError(FAILED_PRECONDITION, "etcdserver: bad leader transferee")
        if len(self._begun) >= MAX_WAITING:
            raise StoreError(*TOO_MANY_REQUESTS)
        self._begun.append((target, request))
        self._node.transfer_leader(target)

    def leader_changed(self, leader: int) -> None:
        """The leader has changed, or is not known any more."""
        if leader != NO_MEMBER:
            for target, request in self._begun:
                moved = target == leader
                request.respond([0, [self._store.header()]] if moved else list(TIMEOUT))
            self._begun = []

    def expire(self, now_ns: int) -> None:
        """Answer what has waited too long."""
        for _, request in [move for move in self._begun if move[1].deadline_ns <= now_ns]:
            request.respond(list(TIMEOUT))
        self._begun = [move for move in self._begun if move[1].deadline_ns > now_ns]
