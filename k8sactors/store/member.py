"""The store member as an actor: a raftstore member on a host of the fabric.

Members reach each other by datagrams, which Raft stands; clients come by connections. The disk
belongs to the host: it survives the process, and loses what was not synced when the power goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from k8sactors.actors import Actor, Connection, Message
from k8sactors.fabric import Host
from raftstore.errors import StoreError
from raftstore.raft import Message as RaftMessage
from raftstore.raft import RaftMonitor
from raftstore.server import Member, MemberConfig, SimulatedDisk
from raftstore.server.disk import TaskDisk
from raftstore.wire import EVENTS, REQUEST, RESPONSE, WATCH, WATCH_CANCEL

# Opens what a member keeps its log on.
OpenDisk = Callable[[MemberConfig], TaskDisk]

RAFT = "store.raft"
DISK = "/var/lib/etcd"

# A host that was paused for long need not live through every election it has missed.
MAX_MISSED_ELECTIONS = 3


class StoreHost(Actor):
    """Carries one member.

    `addresses` maps the ids of all members to actor addresses. It is looked up like a name service:
    who adds a member to the cluster adds its address there first. A member that was removed
    from the cluster ends its process. With `open_disk` the log is on a disk of the real machine,
    and not on the simulated one of the host.
    """

    member: Member
    started = False

    def __init__(
        self,
        config: MemberConfig,
        addresses: Mapping[int, str],
        sync_latency_ns: int,
        monitor: RaftMonitor | None = None,
        on_revision: Callable[[int], None] | None = None,
        open_disk: OpenDisk | None = None,
    ) -> None:
        self._open_disk = open_disk
        self._config = config
        self._addresses = addresses
        self._sync_latency_ns = sync_latency_ns
        self._monitor = monitor
        self._on_revision = on_revision

    @property
    def leading_term(self) -> int | None:
        """The term in which the member leads; None: it does not."""
        leads = self.started and self.member.is_leader
        return self.member.node.raft.term if leads else None

    def on_start(self) -> None:
        """Recover from the disk and start to tick."""
        disk = self._disk()
        self.member = Member(
            self._config, disk, self, self.ctx.random, self.ctx.now_ns, self._monitor
        )
        if self._open_disk is not None:
            self.ctx.spawn_task(disk.run, self._in_turn)
        self._ticks = self.ctx.now_ns() // self._config.tick_ns
        self._must_catch_up = True
        self.started = True
        self._schedule_tick()

    def _disk(self) -> TaskDisk:
        if self._open_disk is not None:
            return self._open_disk(self._config)
        disk = open_disk(cast("Host", self.ctx.host))
        disk.use_timer(self.ctx.after, self._sync_latency_ns)
        return disk

    def _in_turn(self, callback: Callable[[], None]) -> bool:
        """What the disk's task has done is told in a turn of the member."""
        self.ctx.after(0, callback)
        return True

    def on_message(self, message: Message) -> None:
        """Hand the message to the member; it only queues."""
        if self._must_catch_up:
            self._must_catch_up = False
            self._catch_up()
        kind = message.kind
        if kind == RAFT:
            sender, recipient, wire = message.payload
            if recipient == self._config.id:
                self.member.receive_peer(sender, wire)
            else:
                self.member.receive_stray(sender, wire)
        elif message.connection is None:
            return  # clients talk by connection; a stray datagram has no sender to answer
        elif kind == REQUEST:
            op, fields = message.payload
            respond = partial(message.reply, RESPONSE)
            self.member.receive_client(message.connection.id, op, fields, respond)
        elif kind == WATCH:
            self._watch(message, message.connection.id)
        elif kind == WATCH_CANCEL:
            self.member.cancel_watch(message.connection.id, message.payload[0])

    def _watch(self, message: Message, client: int) -> None:
        try:
            self.member.watch(client, message.payload, partial(message.reply, EVENTS))
        except StoreError as refusal:
            message.reply(RESPONSE, refusal.to_wire())

    def on_disconnect(self, connection: Connection, reason: str) -> None:
        """The client's watches end with its connection."""
        del reason
        self.member.close_client(connection.id)

    def on_batch_end(self) -> None:
        """One pass of propose, persist, send, apply, answer and push for the whole batch."""
        self.member.finish_batch()
        self._must_catch_up = True
        if self._on_revision is not None:
            self._on_revision(self.member.store.revision)

    def send_peer(self, member_id: int, wire: list[Any]) -> None:
        """Part of the member's transport."""
        address = self._addresses.get(member_id)
        if address is not None:
            self.ctx.datagram(address, RAFT, [self._config.id, member_id, wire])

    def send_message(self, message: RaftMessage) -> None:
        """Part of the member's transport."""
        self.send_peer(message.to, message.to_wire())

    def hand_part(self, _member_id: int, _part: list[Any]) -> bool:
        """Part of the member's transport: hosts share no memory."""
        return False

    def _schedule_tick(self) -> None:
        """Wake up when the next tick that matters is due, on a grid that all members share."""
        wait = self._config.tick_ns * self.member.idle_ticks()
        self.ctx.after(wait, self._woken, slack_ns=self._config.tick_ns)

    def _woken(self) -> None:
        if self.member.removed:
            # The cluster continues without it, and so does its supervisor: it is not started again.
            host = cast("Host", self.ctx.host)
            host.kill_actor(self.ctx.address.partition("/")[2])
            return
        self._catch_up()
        self._schedule_tick()

    def _catch_up(self) -> None:
        """Hand in the ticks since the last time."""
        ticks = self.ctx.now_ns() // self._config.tick_ns
        missed = min(ticks - self._ticks, self._config.election_ticks * MAX_MISSED_ELECTIONS)
        self._ticks = ticks
        for _ in range(missed):
            self.member.tick()


class RevisionTimes:
    """When each revision was first applied anywhere, for those who judge a run from outside."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._revisions = [0]
        self._times_ns = [0]

    def note(self, revision: int) -> None:
        """A member has applied everything up to this revision."""
        if revision > self._revisions[-1]:
            self._revisions.append(revision)
            self._times_ns.append(self._now_ns())

    def of(self, revision: int) -> int:
        """Virtual time at which the revision came to be, in nanoseconds."""
        position = bisect_left(self._revisions, revision)
        return self._times_ns[min(position, len(self._times_ns) - 1)]


def open_disk(host: Host) -> SimulatedDisk:
    """The host's disk, made at its first use; a power cut loses what it has not synced."""
    disk = host.disk.get(DISK)
    if disk is None:
        disk = host.disk[DISK] = SimulatedDisk(name=f"{host.name}:{DISK}")
        host.on_power_off.append(disk.crash)
    assert isinstance(disk, SimulatedDisk)
    return disk
