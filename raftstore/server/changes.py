"""Requests that change the members, from their arrival at the leader to their answer.

A follower hands them on. The leader takes one after the other: it looks at it only when no other
change is on its way, so what it checks is what the change will meet when it is applied. It is
applied twice over, to the consensus and to the section of members, by every member alike.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgpack

from raftstore.errors import (
    LEARNER_NOT_READY,
    MEMBER_NOT_FOUND,
    NOT_FOR_LEARNERS,
    NOT_LEADER,
    STOPPED,
    TIMEOUT,
    TOO_MANY_REQUESTS,
    UNHEALTHY,
    StoreError,
)
from raftstore.mvcc import Store
from raftstore.raft import (
    ConfChange,
    ConfigurationError,
    Entry,
    HardState,
    ProposalDroppedError,
    RaftMonitor,
    RawNode,
    RecoveredState,
    Role,
    Snapshot,
    Transition,
    founding_state,
)
from raftstore.server.config import MemberConfig, Peer
from raftstore.server.membership import (
    MEMBER_ADD,
    MEMBER_PROMOTE,
    MEMBER_PUBLISH,
    MEMBER_REMOVE,
    MEMBER_REPLACE,
    Membership,
    founding_records,
    raft_change,
)
from raftstore.server.proposals import Proposals
from raftstore.server.requests import KEY_SLICE, Request

# Changes that wait for the one before.
MAX_WAITING: Final = 64
REVISION_FIELD: Final = 2


class MemberChanges:
    """The changes of one member, and what the member says about itself."""

    def __init__(
        self,
        config: MemberConfig,
        store: Store,
        node: RawNode,
        proposals: Proposals,
        monitor: RaftMonitor | None,
    ) -> None:
        self.section = Membership(config.peers if not config.joins else ())
        store.extend(self.section, frozenset((MEMBER_PUBLISH,)))
        self.section.on_change += [self._note_removal, self._note_announced]
        # Whether this member has been removed from the cluster.
        self.is_removed = False
        self.waiting: deque[Request] = deque()
        self._id = config.id
        self._store = store
        self._node = node
        self._proposals = proposals
        self._monitor = monitor
        self._first_known = [peer.id for peer in config.peers]
        self._own = next((peer for peer in config.peers if peer.id == config.id), Peer(config.id))
        # Until it is known: what is changed later is the operator's wish.
        self._announces_peer_urls = config.announces_peer_urls

    # -- the member itself --------------------------------------------------------------------

    @property
    def is_learner(self) -> bool:
        """Whether this member is known to be a learner."""
        record = self.section.by_id.get(self._id)
        return record is not None and record.is_learner

    def check_open(self, op: str, *, linearizable: bool) -> None:
        """Return if this member may answer a client: a learner's state may be old.

        Raises:
            StoreError: it may not.
        """
        if self.is_removed:
            raise StoreError(*STOPPED)
        if self.is_learner and op != "status" and linearizable:
            raise StoreError(*NOT_FOR_LEARNERS)

    def known_others(self) -> list[int]:
        """The ids of all other members of whom this one has heard."""
        known = dict.fromkeys((*self._first_known, *self.section.by_id))
        known.pop(self._id, None)
        return list(known)

    def _note_removal(self) -> None:
        self.is_removed |= self._id in self.section.removed

    def _note_announced(self) -> None:
        record = self.section.by_id.get(self._id)
        if record is not None and record.peer_urls == self._own.peer_urls:
            self._announces_peer_urls = False

    @property
    def is_published(self) -> bool:
        """Whether the cluster knows this member, and all that is to be known about it."""
        return self._id in self.section.by_id and self.to_publish() is None

    def to_publish(self) -> list[Any] | None:
        """What the cluster does not know yet about this member, as a request's fields."""
        record = self.section.by_id.get(self._id)
        own = self._own
        if record is None or not own.name:
            return None
        peer_urls = own.peer_urls if self._announces_peer_urls else record.peer_urls
        told = own.name, own.client_urls, peer_urls
        if (record.name, record.client_urls, record.peer_urls) == told:
            return None
        fields: list[Any] = [self._id, own.name, [*own.client_urls]]
        return [*fields, [*peer_urls]] if self._announces_peer_urls else fields

    # -- on the leader ------------------------------------------------------------------------

    def take(self, request: Request) -> None:
        """Queue a request.

        Raises:
            StoreError: too many wait already.
        """
        if len(self.waiting) >= MAX_WAITING:
            raise StoreError(*TOO_MANY_REQUESTS)
        self.waiting.append(request)

    def propose(self) -> None:
        """Propose the next change, if none is on its way; refuse what may not be done."""
        raft = self._node.raft
        while self.waiting:
            if raft.role is not Role.LEADER:
                self.waiting.popleft().respond(list(NOT_LEADER))
                continue
            if not raft.may_change_configuration():
                return
            request = self.waiting[0]
            try:
                self._propose(request)
            except ProposalDroppedError:
                return
            except StoreError as refusal:
                request.respond(refusal.to_wire())
            self.waiting.popleft()

    def _propose(self, request: Request) -> None:
        op, fields = request.op, request.fields
        if op in (MEMBER_ADD, MEMBER_REPLACE):
            fields = [self.section.last_id + 1, *fields]
        self._check(op, fields)
        key, data = self._proposals.prepare(op, fields)
        change = raft_change(op, fields, data)
        try:
            self._node.propose_change(change)
        except ConfigurationError as error:
            raise StoreError(*UNHEALTHY) from error
        self._proposals.appended(key, request._replace(fields=fields), self._node)

    def _check(self, op: str, fields: list[Any]) -> None:
        """What only the leader can tell: who is there, and how far."""
        section, raft = self.section, self._node.raft
        if op == MEMBER_PROMOTE:
            if fields[0] not in section.by_id:
                raise StoreError(*MEMBER_NOT_FOUND)
            if not raft.is_caught_up(fields[0]):
                raise StoreError(*LEARNER_NOT_READY)
        section.check_started(op, fields)
        voters = [record.id for record in section.voters()]
        connected = [number for number in voters if raft.is_connected(number)]
        if op == MEMBER_ADD and len(connected) < len(voters):
            raise StoreError(*UNHEALTHY)
        # One that is down can be removed: the others work without it already.
        if op == MEMBER_REPLACE and len(set(connected) - {fields[2]}) < 1 + len(voters) // 2:
            # The new one has nothing yet: the others must agree without it.
            raise StoreError(*UNHEALTHY)
        leaving = op == MEMBER_REMOVE and fields[0] in connected
        if leaving and len(connected) - 1 < 1 + (len(voters) - 1) // 2:
            raise StoreError(*UNHEALTHY)
        section.check(op, fields)

    def expire(self, now_ns: int) -> None:
        """Answer what has waited too long."""
        while self.waiting and self.waiting[0].deadline_ns <= now_ns:
            self.waiting.popleft().respond(list(TIMEOUT))

    # -- on every member ----------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Carry out a committed change, and answer the request for it, if it was made here."""
        change = ConfChange.decode(entry.data)
        if change.transition == Transition.FOUNDING:
            self._node.apply_change(change)
            self.section.found(msgpack.unpackb(change.context))
        elif change.context:
            request = self._proposals.take(change.context[KEY_SLICE])
            _, op, fields = msgpack.unpackb(change.context)
            answer = self._apply(change, op, fields)
            if request is not None:
                request.respond(answer)
        else:
            after = self._node.apply_change(change)
            if change.leaves_joint:
                self.section.retire(after.members)
        if self._monitor is not None:
            self._monitor.configured(self._id, entry.index, self._node.raft.configuration)

    def _apply(self, change: ConfChange, op: str, fields: list[Any]) -> list[Any]:
        section = self.section
        try:
            section.check(op, fields)
            self._node.apply_change(change)
        except StoreError as refusal:
            return refusal.to_wire()
        except ConfigurationError:
            return list(UNHEALTHY)
        section.apply(op, fields)
        members = section.to_wire()
        if op in (MEMBER_ADD, MEMBER_REPLACE):
            return [0, [self.header(), section.by_id[fields[0]].to_wire(), members]]
        return [0, [self.header(), members]]

    def member_list(self, _fields: list[Any]) -> list[Any]:
        """The answer to `member_list`."""
        return [0, [self.header(), self.section.to_wire()]]

    def header(self) -> list[int]:
        """As etcd's: what concerns the members has no revision."""
        header = self._store.header()
        header[REVISION_FIELD] = 0
        return header


def begin(config: MemberConfig, recovered: RecoveredState) -> RecoveredState | None:
    """What the empty disk of a founding member must hold first; None: nothing is missing."""
    if config.joins or recovered.snapshot.index or recovered.entries:
        return None
    if recovered.hard_state != HardState() or recovered.snapshot != Snapshot():
        return None
    records = [record.to_wire() for record in founding_records(config.peers)]
    context: bytes = msgpack.packb(records)
    return founding_state(config.voters, context)
