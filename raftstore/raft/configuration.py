"""Which members a cluster has, and how one set of members becomes another.

A change that moves one voter is made at once: majorities of the old and the new set always share a
member. Anything larger goes through a *joint* configuration, in which both sets must agree to
everything, and out of it again (Raft section 6). The rules are those of etcd's raft; all of this is
plain values, apart from the algorithm, so that it can be checked by itself.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import msgpack

from raftstore.raft.errors import ConfigurationError
from raftstore.raft.quorum import JointConfig, MajorityConfig, Quorum


class ChangeKind(IntEnum):
    """What happens to one member."""

    ADD_VOTER = 0
    REMOVE = 1
    # Nothing that consensus cares about: an address, say.
    UPDATE = 2
    # It receives the log, but neither votes nor counts; a voter is demoted by it.
    ADD_LEARNER = 3


class Transition(IntEnum):
    """How the cluster gets from the old configuration to the new one."""

    # At once if only one change is asked for, else as IMPLICIT.
    AUTO = 0
    # Through a joint configuration that the leader ends by itself.
    IMPLICIT = 1
    # Into a joint configuration, which stays until a caller proposes to leave it.
    EXPLICIT = 2
    # The first entry of the log: there was no configuration before.
    FOUNDING = 3


class MemberChange(NamedTuple):
    """One step of a change."""

    kind: int
    member: int


class Configuration(NamedTuple):
    """The members at one place of the log. Ids are sorted; a joint one has `outgoing` voters."""

    voters: tuple[int, ...] = ()
    # The voters of the configuration that is being left.
    outgoing: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    # Outgoing voters that become learners when the joint configuration ends.
    learners_next: tuple[int, ...] = ()
    auto_leave: bool = False

    @classmethod
    def of_voters(cls, voters: tuple[int, ...]) -> Configuration:
        """A plain configuration."""
        return cls(_sorted(voters))

    @classmethod
    def from_wire(cls, wire: list[Any]) -> Configuration:
        """Rebuild one from its positional form."""
        voters, outgoing, learners, learners_next, auto_leave = wire
        return cls(
            tuple(voters), tuple(outgoing), tuple(learners), tuple(learners_next), auto_leave
        )

    @property
    def is_joint(self) -> bool:
        """Whether two sets of voters must agree."""
        return bool(self.outgoing)

    @property
    def members(self) -> tuple[int, ...]:
        """All that receive the log, sorted."""
        return _sorted((*self.voters, *self.outgoing, *self.learners, *self.learners_next))

    def quorum(self) -> Quorum:
        """Who has to agree."""
        incoming = MajorityConfig(self.voters)
        return JointConfig(incoming, MajorityConfig(self.outgoing)) if self.outgoing else incoming

    def check(self) -> None:
        """Refuse what no sequence of changes can lead to.

        Raises:
            ConfigurationError: there is no voter, or a member has two parts at once.
        """
        learners = frozenset(self.learners)
        coming = frozenset(self.learners_next)
        if not self.voters:
            raise ConfigurationError("no voter would be left")
        if learners & (frozenset(self.voters) | frozenset(self.outgoing)):
            raise ConfigurationError("a learner cannot be a voter")
        if coming & (learners | frozenset(self.voters)) or not coming <= frozenset(self.outgoing):
            raise ConfigurationError("only outgoing voters are demoted at the end of a change")
        if self.auto_leave and not self.outgoing:
            raise ConfigurationError("there is nothing to leave")


class ConfChange(NamedTuple):
    """A change of the configuration, as it stands in the log."""

    transition: int = Transition.AUTO.value
    # Empty: the joint configuration ends.
    changes: tuple[MemberChange, ...] = ()
    # Whatever the proposer wants to find again when the change is applied.
    context: bytes = b""

    @property
    def leaves_joint(self) -> bool:
        """Whether this ends a joint configuration."""
        return not self.changes

    @property
    def enters_joint(self) -> bool:
        """Whether this begins a joint configuration."""
        return self.transition in (Transition.IMPLICIT, Transition.EXPLICIT) or (
            self.transition == Transition.AUTO and len(self.changes) > 1
        )

    def encode(self) -> bytes:
        """The data of an entry; empty for a plain end of a joint configuration."""
        if self == LEAVE_JOINT:
            return b""
        data: bytes = msgpack.packb(self)
        return data

    @classmethod
    def decode(cls, data: bytes) -> ConfChange:
        """The change in an entry's data."""
        if not data:
            return LEAVE_JOINT
        transition, changes, context = msgpack.unpackb(data)
        return cls(transition, tuple([MemberChange(*change) for change in changes]), context)

    def apply_to(self, before: Configuration) -> Configuration:
        """The configuration after this change.

        Raises:
            ConfigurationError: it is no change that may be made there.
        """
        if self.transition == Transition.FOUNDING:
            return _found(before, self.changes)
        if not before.voters:
            raise ConfigurationError("the log does not begin with a configuration")
        if self.leaves_joint:
            return _leave_joint(before)
        if before.is_joint:
            raise ConfigurationError("a joint configuration must be left first")
        if self.enters_joint:
            auto_leave = self.transition != Transition.EXPLICIT
            joint = before._replace(outgoing=before.voters, auto_leave=auto_leave)
            return _change(joint, self.changes)
        after = _change(before, self.changes)
        if len(frozenset(before.voters) ^ frozenset(after.voters)) > 1:
            raise ConfigurationError("more than one voter can only be changed jointly")
        return after


LEAVE_JOINT = ConfChange()


def simple_change(kind: ChangeKind, member: int, context: bytes = b"") -> ConfChange:
    """The change of one member."""
    return ConfChange(Transition.AUTO.value, (MemberChange(kind.value, member),), context)


def founding(voters: tuple[int, ...], context: bytes = b"") -> ConfChange:
    """The first entry of a cluster's log."""
    changes = [MemberChange(ChangeKind.ADD_VOTER.value, voter) for voter in _sorted(voters)]
    return ConfChange(Transition.FOUNDING.value, tuple(changes), context)


def _found(before: Configuration, changes: tuple[MemberChange, ...]) -> Configuration:
    after = _change(Configuration(), changes)
    if before not in (Configuration(), after):
        raise ConfigurationError("the cluster was founded with other members")
    return after


def _leave_joint(before: Configuration) -> Configuration:
    if not before.is_joint:
        raise ConfigurationError("there is no joint configuration to leave")
    learners = _sorted((*before.learners, *before.learners_next))
    after = Configuration(before.voters, learners=learners)
    after.check()
    return after


def _change(before: Configuration, changes: tuple[MemberChange, ...]) -> Configuration:
    voters = dict.fromkeys(before.voters)
    learners = dict.fromkeys(before.learners)
    coming = dict.fromkeys(before.learners_next)
    for kind, member in changes:
        if member <= 0:
            raise ConfigurationError("member ids start at 1")
        if kind == ChangeKind.UPDATE:
            continue
        for part in (voters, learners, coming):
            part.pop(member, None)
        if kind == ChangeKind.ADD_VOTER:
            voters[member] = None
        elif kind == ChangeKind.ADD_LEARNER:
            (coming if member in before.outgoing else learners)[member] = None
        elif kind != ChangeKind.REMOVE:
            raise ConfigurationError(f"unknown kind of change {kind}")
    after = Configuration(
        _sorted(tuple(voters)),
        before.outgoing,
        _sorted(tuple(learners)),
        _sorted(tuple(coming)),
        before.auto_leave,
    )
    after.check()
    return after


def _sorted(members: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(frozenset(members)))
