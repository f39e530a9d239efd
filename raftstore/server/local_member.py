"""A member in a trio program: drain what has arrived, handle it as one batch, send one frame each.

A leader tells its followers how far the log is committed. A client that writes one key after
another sends the next one as soon as the last is committed, so that news would cost every follower
a turn of its own for each write. It lingers until those tasks have run, therefore: the next append
carries it as well. Only where answers have just left to clients of the leader, though: no other
client's wait gets longer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
import msgpack
import trio

from raftstore.errors import StoreError
from raftstore.raft import Message, RaftMonitor
from raftstore.raft.raft import Raft
from raftstore.raft.state import LEADER, Rng
from raftstore.server.config import MemberConfig
from raftstore.server.credentials import Credentials
from raftstore.server.disk import TaskDisk
from raftstore.server.local_network import MAX_QUEUED_FRAMES, Handed, LocalConnection, Network
from raftstore.server.local_timers import LocalTimer, LocalTimers
from raftstore.server.local_turns import Turns
from raftstore.server.member import Member
from raftstore.storage import DiskFailedError
from raftstore.wire import EVENTS, REQUEST, RESPONSE, WATCH, WATCH_CANCEL

_pack: Final = msgpack.Packer(autoreset=True).pack

# A follower that takes up a backlog does so between turns of the others, a millisecond each.
APPLIED_AT_ONCE: Final = 128

Item = bytes | LocalConnection | Handed | Callable[[], None]
Answers = list[tuple[str, int, list[Any]]]


class MemberTask:
    """One life of a member: its inbox, its outgoing frames, and the task that drives it."""

    def __init__(
        self,
        network: Network,
        timers: LocalTimers,
        turns: Turns,
        config: MemberConfig,
        disk: TaskDisk,
        rng: Rng,
        monitor: RaftMonitor | None,
        credentials: Credentials | None = None,
    ) -> None:
        self._network = network
        self._timers = timers
        self.id = config.id
        self.scope = trio.CancelScope()
        self._inbox: list[Item] = []
        self._over = False
        self._turns = turns
        self._turn_ns = timers.now_ns()
        self._peer_frames: dict[int, list[Any]] = {}
        self._peer_messages: dict[int, list[Message]] = {}
        self._client_frames: dict[int, Answers] = {}
        self._answers = 0
        self._tick_ns = config.tick_ns
        self._disk = disk
        # Why it ended, if it was not killed.
        self.failure: DiskFailedError | None = None
        disk.attach(self.after)
        credentials = credentials or Credentials()
        self._offload = credentials.offload
        self.member = Member(
            attrs.evolve(config, lazy_replication=True, applied_at_once=APPLIED_AT_ONCE),
            disk,
            self,
            rng,
            self._now_ns,
            monitor,
            attrs.evolve(credentials, offload=self._compute),
        )
        self._raft = self.member.node.raft
        self._timers.after(self._tick_ns, self._tick)

    @property
    def over(self) -> bool:
        """Whether it takes nothing any more."""
        return self._over

    def kill(self) -> None:
        """End the task; it takes nothing more from now on."""
        self._over = True
        self.scope.cancel()

    def send_peer(self, member_id: int, wire: list[Any]) -> None:
        """The member's transport: messages of a batch leave together."""
        frame = self._peer_frames.get(member_id)
        if frame is None:
            self._peer_frames[member_id] = [wire]
        else:
            frame.append(wire)

    def send_message(self, message: Message) -> None:
        """The member's transport for Raft's own messages."""
        messages = self._peer_messages.get(message.to)
        if messages is None:
            self._peer_messages[message.to] = [message]
        else:
            messages.append(message)

    def hand_part(self, member_id: int, part: list[Any]) -> bool:
        """The member's transport for parts of snapshots, while the other is of this program."""
        return self._network.hand_part(self.id, member_id, part)

    def take_part(self, sender: int, part: list[Any]) -> bool:
        """A part of a snapshot from a member of this program."""
        return self.deliver(partial(self.member.receive_peer, sender, part))

    def after(self, delay_ns: int, callback: Callable[[], None]) -> LocalTimer:
        """A timer whose callback runs in the member's own turn."""
        return self._timers.after(delay_ns, partial(self._run_in_turn, callback))

    def deliver(self, item: Item) -> bool:
        """Put a frame, or work for the member's turn, in the inbox; False if the member is gone."""
        inbox = self._inbox
        if len(inbox) >= MAX_QUEUED_FRAMES or self._over:
            return False
        if not inbox:
            self._turns.add(self._turn, first=self._raft.role is LEADER)
        inbox.append(item)
        return True

    def _now_ns(self) -> int:
        """When the turn began: to the member, what happens in one turn happens at once."""
        return self._turn_ns

    def _compute(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self._offload(job, partial(self._hand_over, done))

    def _hand_over(self, done: Callable[[Any], None], result: Any) -> None:
        """Give a computed result to the member in its turn; a full inbox will have room later."""
        if not self.deliver(partial(done, result)) and not self._over:
            self._timers.after(self._tick_ns, partial(self._hand_over, done, result))

    def _run_in_turn(self, callback: Callable[[], None]) -> None:
        self.deliver(callback)

    def _tick(self) -> None:
        if self.member.removed:
            self.kill()
        elif not self._over:
            self._timers.after(self._tick_ns, self._tick)
            self.deliver(self.member.tick)

    async def live(self) -> None:
        """Let the disk work next to the member until killed or until the disk fails (`failure`)."""
        try:
            with self.scope:
                await self._disk.run(self.deliver)
                await trio.sleep_forever()
        except DiskFailedError as failure:
            self.failure = failure
        finally:
            self._over = True

    def _turn(self) -> None:
        """Handle what has arrived as one batch."""
        if self._over:
            return
        items, self._inbox = self._inbox, []
        self._turn_ns = self._timers.now_ns()
        handle = self._handle
        try:
            for item in items:
                handle(item)
            self.member.finish_batch()
            if self.member.unfinished:
                self.deliver(_resume)
        except DiskFailedError as failure:
            self.failure = failure
            self.kill()
        else:
            self._flush()

    def _handle(self, item: Item) -> None:
        if isinstance(item, tuple):
            sender, handed = item
            receive_message = self.member.receive_message
            for message in handed:
                receive_message(sender, message)
            return
        if isinstance(item, LocalConnection):
            frame = item.take_frame()
            if frame is None:
                return
        elif isinstance(item, bytes):
            frame = item
        else:
            item()
            return
        from_member, sender, messages = msgpack.unpackb(frame)
        if from_member:
            receive_peer = self.member.receive_peer
            for wire in messages:
                receive_peer(sender, wire)
        else:
            for kind, message_id, payload in messages:
                self._handle_client(sender, kind, message_id, payload)

    def _handle_client(self, client: int, kind: str, message_id: int, payload: Any) -> None:
        if kind == REQUEST:
            op, fields = payload
            respond = partial(self._answer, client, RESPONSE, message_id)
            self.member.receive_client(client, op, fields, respond)
        elif kind == WATCH:
            push = partial(self._answer, client, EVENTS, message_id)
            try:
                self.member.watch(client, payload, push)
            except StoreError as refusal:
                self._answer(client, RESPONSE, message_id, refusal.to_wire())
        elif kind == WATCH_CANCEL:
            self.member.cancel_watch(client, payload[0])
        else:
            self.member.close_client(client)

    def _answer(self, client: int, kind: str, cause: int, payload: list[Any]) -> None:
        frame = self._client_frames.get(client)
        if frame is None:
            self._client_frames[client] = [(kind, cause, payload)]
        else:
            frame.append((kind, cause, payload))

    def _flush(self) -> None:
        raft = self._raft
        if raft.withholds:
            self._linger(raft)
        if self._peer_messages:
            handed, self._peer_messages = self._peer_messages, {}
            for member_id, messages in handed.items():
                self._network.hand_over(self.id, member_id, messages)
        if self._peer_frames:
            frames, self._peer_frames = self._peer_frames, {}
            for member_id, wires in frames.items():
                self._network.to_member(self.id, member_id, _pack((True, self.id, wires)))
        if self._client_frames:
            answers, self._client_frames = self._client_frames, {}
            for client, items in answers.items():
                self._network.to_client(client, _pack(items))

    def _linger(self, raft: Raft) -> None:
        """Keep what no commit waits for while those who have their answers now may write again.

        If something else leaves for a member that lacks it, or if no client here was answered,
        clients of other members may wait for it.
        """
        are_back = None
        if raft.commit_unsent:
            at_once = self._peer_messages or self._peer_frames or not self._client_frames
            self._answers = sum(map(len, self._client_frames.values()))
            are_back = self._are_back
        else:
            at_once = self._peer_frames or len(self._peer_messages) > len(raft.first_served)
        if at_once:
            self.member.send_withheld()
        else:
            self._turns.linger(self._send_withheld, are_back)

    def _are_back(self) -> bool:
        """Whether as much is asked as was answered in the last turn."""
        connections = [item for item in self._inbox if isinstance(item, LocalConnection)]
        return sum(len(connection.outbox) for connection in connections) >= self._answers

    def _send_withheld(self) -> None:
        if self._raft.withholds:
            self.deliver(self.member.send_withheld)


def _resume() -> None:
    """Nothing has arrived: the member takes its turn to continue with what it has."""
