"""Who belongs to the cluster: replicated, so equal on all members at equal log index.

The rules are those of etcd's ``server/etcdserver/api/membership`` and of ``mayAddMember`` and its
like in ``server/etcdserver/server.go``. Ids are numbers from 1 on, one more for each new member,
and never used again: a removed member can be told from a new one forever. What a member says about
itself, its name and its clients' addresses, comes through the log as well when it has started;
until then its name is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from raftstore.errors import (
    BAD_MEMBER_URLS,
    MEMBER_EXISTS,
    MEMBER_NOT_FOUND,
    NOT_A_LEARNER,
    NOT_ENOUGH_STARTED,
    PEER_URL_EXISTS,
    TOO_MANY_LEARNERS,
    StoreError,
)
from raftstore.mvcc.store import Applier
from raftstore.raft import ChangeKind, ConfChange, MemberChange, Transition, simple_change
from raftstore.server.config import Peer

MEMBER_ADD: Final = "member_add"
MEMBER_REMOVE: Final = "member_remove"
MEMBER_UPDATE: Final = "member_update"
MEMBER_PROMOTE: Final = "member_promote"
# ``[new id, peer URLs, old id]``: a voter goes and another comes, in one step; etcd has no such
# request. The old one goes when the joint configuration ends.
MEMBER_REPLACE: Final = "member_replace"
# Requests that change who belongs to the cluster.
MEMBER_OPS: Final = frozenset(
    (MEMBER_ADD, MEMBER_REMOVE, MEMBER_UPDATE, MEMBER_PROMOTE, MEMBER_REPLACE)
)
# ``[id, name, client URLs, peer URLs]``: what a member says about itself; the last only from
# those whose peer addresses are others at every start.
MEMBER_PUBLISH: Final = "member_publish"
# etcd: --max-learners.
MAX_LEARNERS: Final = 1
MAX_URLS: Final = 16
SCHEMES: Final = frozenset(("http", "https", "unix", "unixs"))


class MemberRecord(NamedTuple):
    """A member as the cluster knows it."""

    id: int
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    client_urls: tuple[str, ...] = ()
    is_learner: bool = False

    @property
    def is_started(self) -> bool:
        """Whether it has ever told its name."""
        return bool(self.name)

    @classmethod
    def from_wire(cls, fields: Sequence[Any]) -> MemberRecord:
        """Rebuild one from plain data."""
        number, name, peer_urls, client_urls, is_learner = fields
        return cls(number, name, tuple(peer_urls), tuple(client_urls), is_learner)

    def to_wire(self) -> list[Any]:
        """The fields of a Member."""
        return [self.id, self.name, [*self.peer_urls], [*self.client_urls], self.is_learner]


class Membership:
    """The section "members" of one member's store.

    `founders` is what it begins with: the members that found the cluster, none for one that joins.
    """

    name = "members"

    def __init__(self, founders: Iterable[Peer] = ()) -> None:
        self._founders = founding_records(founders)
        self.by_id: dict[int, MemberRecord] = {}
        # Ids of former members.
        self.removed: dict[int, None] = {}
        self.last_id = 0
        self.on_change: list[Callable[[], None]] = []
        self.writers: dict[str, Applier] = {MEMBER_PUBLISH: self._publish}
        self._begin(self._founders)

    # -- the section --------------------------------------------------------------------------

    def dump(self) -> Any:
        """The state as plain data."""
        return [self.to_wire(), sorted(self.removed), self.last_id]

    def load(self, data: Any) -> None:
        """Replace the state by what `dump` gave; None: by the founders."""
        if data is None:
            self._begin(self._founders)
        else:
            members, removed, last_id = data
            self._begin([MemberRecord.from_wire(fields) for fields in members])
            self.removed.update(dict.fromkeys(removed))
            self.last_id = last_id
        self._changed()

    def _begin(self, records: Iterable[MemberRecord]) -> None:
        self.by_id = {record.id: record for record in records}
        self.removed.clear()
        self.last_id = max(self.by_id, default=0)

    def _changed(self) -> None:
        for notify in self.on_change:
            notify()

    def to_wire(self) -> list[Any]:
        """The members in the form of a member list, by id."""
        return [self.by_id[number].to_wire() for number in sorted(self.by_id)]

    def _publish(self, fields: list[Any], _now_ns: int) -> list[Any]:
        number, name, client_urls, *peer_urls = fields
        record = self.by_id.get(number)
        if record is not None:
            record = record._replace(name=name, client_urls=tuple(client_urls))
            for urls in peer_urls:
                record = record._replace(peer_urls=tuple(urls))
            self.by_id[number] = record
            self._changed()
        return [0, []]

    # -- changes, applied together with Raft's own --------------------------------------------

    def found(self, members: list[Any]) -> None:
        """The cluster is founded by these members; the first entry of the log says so."""
        self._begin([MemberRecord.from_wire(fields) for fields in members])
        self._changed()

    def check(self, op: str, fields: list[Any]) -> None:
        """Return if a change may be applied to this state.

        Raises:
            StoreError: it may not.
        """
        number = fields[0]
        if op == MEMBER_ADD:
            self._check_add(number, fields[1], is_learner=fields[2])
            return
        if op == MEMBER_REPLACE:
            old = self.by_id.get(fields[2])
            if old is None or old.is_learner:
                raise StoreError(*MEMBER_NOT_FOUND)
            self._check_add(number, fields[1], is_learner=False)
            return
        record = self.by_id.get(number)
        if record is None:
            raise StoreError(*MEMBER_NOT_FOUND)
        if op == MEMBER_UPDATE:
            self._check_urls(fields[1], number)
        elif op == MEMBER_PROMOTE and not record.is_learner:
            raise StoreError(*NOT_A_LEARNER)

    def _check_add(self, number: int, peer_urls: list[str], *, is_learner: bool) -> None:
        if number in self.by_id or number <= self.last_id:
            raise StoreError(*MEMBER_EXISTS)
        self._check_urls(peer_urls, number)
        learners = sum(1 for record in self.by_id.values() if record.is_learner)
        if is_learner and learners >= MAX_LEARNERS:
            raise StoreError(*TOO_MANY_LEARNERS)

    def _check_urls(self, peer_urls: list[str], number: int) -> None:
        for record in self.by_id.values():
            if record.id != number and not frozenset(record.peer_urls).isdisjoint(peer_urls):
                raise StoreError(*PEER_URL_EXISTS)

    def apply(self, op: str, fields: list[Any]) -> None:
        """Carry out a change that `check` has let pass."""
        number = fields[0]
        if op in (MEMBER_ADD, MEMBER_REPLACE):
            _, peer_urls, rest = fields
            is_learner = op == MEMBER_ADD and rest
            self.by_id[number] = MemberRecord(number, "", tuple(peer_urls), (), is_learner)
            self.last_id = max(self.last_id, number)
        elif op == MEMBER_REMOVE:
            del self.by_id[number]
            self.removed[number] = None
        elif op == MEMBER_UPDATE:
            self.by_id[number] = self.by_id[number]._replace(peer_urls=tuple(fields[1]))
        else:
            self.by_id[number] = self.by_id[number]._replace(is_learner=False)
        self._changed()

    def retire(self, members: tuple[int, ...]) -> None:
        """A joint configuration has ended: all but these are gone."""
        former = [number for number in self.by_id if number not in members]
        for number in former:
            del self.by_id[number]
            self.removed[number] = None
        if former:
            self._changed()

    # -- what a leader asks before it proposes ------------------------------------------------

    def is_started(self, number: int) -> bool:
        """Whether this is a member that has ever told its name."""
        record = self.by_id.get(number)
        return record is not None and record.is_started

    def voters(self) -> list[MemberRecord]:
        """The members that vote."""
        return [record for record in self.by_id.values() if not record.is_learner]

    def check_started(self, op: str, fields: list[Any]) -> None:
        """Refuse a change after which too few of the voters would have started.

        Raises:
            StoreError: too few.
        """
        voters = self.voters()
        started = sum(record.is_started for record in voters)
        count = len(voters)
        if op == MEMBER_ADD:
            if fields[2] or (started == 1 and count == 1):
                return
            count += 1
        elif op == MEMBER_PROMOTE:
            count, started = count + 1, started + 1
        elif op == MEMBER_REPLACE:
            started -= self.is_started(fields[2])
        elif op == MEMBER_REMOVE:
            leaving = self.by_id.get(fields[0])
            if leaving is not None and leaving.is_learner:
                return
            if leaving is not None:
                count, started = count - 1, started - leaving.is_started
        else:
            return
        if started < count // 2 + 1:
            raise StoreError(*NOT_ENOUGH_STARTED)


def founding_records(peers: Iterable[Peer]) -> list[MemberRecord]:
    """The members of a new cluster. Equal on all of them: clients' addresses are told later."""
    ordered = sorted(peers, key=lambda peer: peer.id)
    return [MemberRecord(peer.id, peer.name, tuple(peer.peer_urls)) for peer in ordered]


def check_shape(op: str, fields: list[Any]) -> None:
    """Refuse fields that cannot be those of the request; what is applied must not fail.

    Raises:
        StoreError: the addresses are none.
        TypeError, ValueError: fields are missing, or of the wrong type.
    """
    if op == MEMBER_ADD:
        peer_urls, is_learner = fields
        if not isinstance(is_learner, bool):
            raise TypeError("is_learner is true or false")
        _check_peer_urls(peer_urls)
    elif op == MEMBER_REPLACE:
        peer_urls, number = fields
        _check_number(number)
        _check_peer_urls(peer_urls)
    elif op == MEMBER_UPDATE:
        number, peer_urls = fields
        _check_number(number)
        _check_peer_urls(peer_urls)
    else:
        (number,) = fields
        _check_number(number)


def _check_number(number: Any) -> None:
    if not isinstance(number, int) or number < 0:
        raise TypeError("a member's id is a number")


def _check_peer_urls(urls: Any) -> None:
    if not isinstance(urls, list) or not 0 < len(urls) <= MAX_URLS:
        raise StoreError(*BAD_MEMBER_URLS)
    for url in urls:
        if not isinstance(url, str) or not _is_url(url):
            raise StoreError(*BAD_MEMBER_URLS)


def _is_url(url: str) -> bool:
    """Scheme, host and port, and nothing behind them, as etcd demands of peers."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in SCHEMES
            and bool(parts.hostname)
            and parts.port is not None
            and not parts.path
        )
    except ValueError:
        return False


def raft_change(op: str, fields: list[Any], context: bytes) -> ConfChange:
    """What the change is to Raft; `fields` as they stand in the log."""
    if op == MEMBER_REPLACE:
        changes = (
            MemberChange(ChangeKind.ADD_VOTER.value, fields[0]),
            MemberChange(ChangeKind.REMOVE.value, fields[2]),
        )
        return ConfChange(Transition.IMPLICIT.value, changes, context)
    kind = ChangeKind.ADD_LEARNER if op == MEMBER_ADD and fields[2] else _KINDS[op]
    return simple_change(kind, fields[0], context)


_KINDS: Final = {
    MEMBER_ADD: ChangeKind.ADD_VOTER,
    MEMBER_REMOVE: ChangeKind.REMOVE,
    MEMBER_UPDATE: ChangeKind.UPDATE,
    MEMBER_PROMOTE: ChangeKind.ADD_VOTER,
}
