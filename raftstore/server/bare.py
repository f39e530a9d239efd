"""A cluster without an event loop: members whose messages are carried by hand, in a fixed order.

For tests that look at a member from all sides, and for measurements of the store alone. Time stands
still until `advance`; frames are packed and unpacked as on a real network, so nothing is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgpack

from raftstore.raft import Message, RaftMonitor
from raftstore.raft.quorum import VoteResult
from raftstore.raft.state import Rng
from raftstore.server.config import MemberConfig, Peer
from raftstore.server.credentials import Credentials
from raftstore.server.disk import SimulatedDisk
from raftstore.server.member import Member


class _Outbox:
    """The transport of one member: one frame per destination and batch."""

    def __init__(self) -> None:
        self.frames: dict[int, list[list[Any]]] = {}

    def send_peer(self, member_id: int, wire: list[Any]) -> None:
        frame = self.frames.get(member_id)
        if frame is None:
            self.frames[member_id] = [wire]
        else:
            frame.append(wire)

    def send_message(self, message: Message) -> None:
        self.send_peer(message.to, message.to_wire())

    def hand_part(self, _member_id: int, _part: list[Any]) -> bool:
        return False


def _take(outbox: _Outbox) -> list[tuple[int, list[list[Any]]]]:
    frames, outbox.frames = outbox.frames, {}
    return list(frames.items())


class BareCluster:
    """Members 1..n on disks of their own, and the network between them."""

    def __init__(
        self,
        size: int,
        make_rng: Callable[[int], Rng],
        *,
        monitor: RaftMonitor | None = None,
        configure: Callable[[MemberConfig], MemberConfig] = lambda config: config,
        credentials: Credentials | None = None,
    ) -> None:
        self._credentials = credentials
        self.peers = tuple(Peer(number, f"member-{number}") for number in range(1, size + 1))
        self.founders = self.peers
        self.disks = {peer.id: SimulatedDisk() for peer in self.peers}
        self.members: dict[int, Member] = {}
        self.now_ns = 0
        self.monitor = monitor
        self._cut: dict[tuple[int, int], None] = {}
        self._make_rng = make_rng
        self._configure = configure
        self._outboxes: dict[int, _Outbox] = {}
        for peer in self.peers:
            self.start(peer.id)

    # -- members ------------------------------------------------------------------------------

    def add_member(self, *, is_learner: bool = False) -> list[Any]:
        """Let a new member join and start it, empty; the answer of the leader."""
        number = max(peer.id for peer in self.peers) + 1
        urls = [f"http://member-{number}:2380"]
        answer = self.call(self.leader().id, "member_add", [urls, is_learner])
        if answer[0] == 0:
            assert answer[1][1][0] == number, "members are numbered one after the other"
            self.peers = (*self.peers, Peer(number, f"member-{number}"))
            self.disks[number] = SimulatedDisk()
            self.start(number)
            self.settle()
        return answer

    def remove_member(self, member_id: int) -> list[Any]:
        """Continue without a member, and stop it; the answer of the leader."""
        answer = self.call(self.leader().id, "member_remove", [member_id])
        if answer[0] == 0:
            self.peers = tuple(peer for peer in self.peers if peer.id != member_id)
            if member_id in self.members:
                self.kill(member_id)
        return answer

    # -- life and death -----------------------------------------------------------------------

    def start(self, member_id: int) -> Member:
        """Start a member on what its disk holds."""
        outbox = self._outboxes[member_id] = _Outbox()
        member = self.members[member_id] = Member(
            self._configure(self._config(member_id)),
            self.disks[member_id],
            outbox,
            self._make_rng(member_id),
            lambda: self.now_ns,
            self.monitor,
            self._credentials,
        )
        return member

    def _config(self, member_id: int) -> MemberConfig:
        if member_id <= len(self.founders):
            return MemberConfig(member_id, self.founders)
        own = Peer(member_id, f"member-{member_id}")
        others = [peer for peer in self.peers if peer.id != member_id]
        return MemberConfig(member_id, (own, *others), joins=True)

    def kill(self, member_id: int) -> None:
        """Cut a member's power: its memory and what its disk had not synced are gone."""
        del self.members[member_id]
        del self._outboxes[member_id]
        self.disks[member_id].crash()

    def restart(self, member_id: int) -> Member:
        """Kill a member, unless it is dead already, and start it again."""
        if member_id in self.members:
            self.kill(member_id)
        return self.start(member_id)

    def isolate(self, member_id: int) -> None:
        """Cut a member from all others."""
        for peer in self.peers:
            self._cut[member_id, peer.id] = self._cut[peer.id, member_id] = None

    def heal(self) -> None:
        """Join everything again."""
        self._cut.clear()

    # -- running ------------------------------------------------------------------------------

    def settle(self, max_rounds: int = 10_000) -> None:
        """Carry messages until no member has anything to say."""
        for _ in range(max_rounds):
            for member in list(self.members.values()):
                member.finish_batch()
            if not self._deliver():
                return
        raise AssertionError("the members do not come to rest")

    def _deliver(self) -> bool:
        frames = [
            (sender, receiver, msgpack.packb(frame))
            for sender, outbox in self._outboxes.items()
            for receiver, frame in _take(outbox)
        ]
        for sender, receiver, data in frames:
            member = self.members.get(receiver)
            if member is not None and (sender, receiver) not in self._cut:
                for wire in msgpack.unpackb(data):
                    member.receive_peer(sender, wire)
        return bool(frames)

    def advance(self, ticks: int = 1) -> None:
        """Let time pass."""
        for _ in range(ticks):
            self.now_ns += self.members_tick_ns
            for member in list(self.members.values()):
                member.tick()
            self.settle()

    @property
    def members_tick_ns(self) -> int:
        """How long a tick lasts."""
        return self._configure(self._config(1)).tick_ns

    def leader(self) -> Member:
        """The leader of the highest term; time passes until there is one that a quorum follows."""
        for _ in range(200):
            leaders = [member for member in self.members.values() if member.is_leader]
            if leaders:
                newest = max(leaders, key=lambda member: member.node.raft.term)
                if newest.node.raft.committed_in_own_term() and self._is_followed(newest):
                    return newest
            self.advance()
        raise AssertionError("no leader was elected")

    def _is_followed(self, leader: Member) -> bool:
        follows = {m.id: m.node.raft.leader == leader.id for m in self.members.values()}
        return leader.node.raft.quorum.vote_result(follows) is VoteResult.WON

    def call(self, member_id: int, op: str, fields: Iterable[Any]) -> list[Any]:
        """One request, carried until it is answered; an empty list if it is not answered yet."""
        answers: list[list[Any]] = []
        self.members[member_id].receive_client("caller", op, list(fields), answers.append)
        self.settle()
        return answers[0] if answers else []
