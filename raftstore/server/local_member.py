"""A member as a trio task: drain what has arrived, handle it as one batch, send one frame each.

A leader tells its followers how far the log is committed. Whoever writes one key after another
sends the next one as soon as the last is committed, so that news would cost every follower a turn
of its own for each write. It lingers for a moment, therefore: the next append carries it as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgpack
import trio

from raftstore.errors import StoreError
from raftstore.raft import RaftMonitor
from raftstore.raft.messages import APPEND, COMMIT
from raftstore.raft.state import Rng
from raftstore.server.config import MemberConfig
from raftstore.server.disk import TaskDisk
from raftstore.server.local_network import MAX_QUEUED_FRAMES, Network
from raftstore.server.local_timers import Gate, LocalTimer, LocalTimers
from raftstore.server.member import Member
from raftstore.storage import DiskFailedError
from raftstore.wire import EVENTS, REQUEST, RESPONSE, WATCH, WATCH_CANCEL

_pack: Final = msgpack.Packer(autoreset=True).pack

# Turns of the scheduler from an answer to the same client's next request.
LINGER_PASSES: Final = 4

Item = bytes | Callable[[], None]
Answers = list[tuple[str, int, list[Any]]]


class MemberTask:
    """One life of a member: its inbox, its outgoing frames, and the task that drives it."""

    def __init__(
        self,
        network: Network,
        timers: LocalTimers,
        config: MemberConfig,
        disk: TaskDisk,
        rng: Rng,
        monitor: RaftMonitor | None,
    ) -> None:
        self._network = network
        self._timers = timers
        self.id = config.id
        self.scope = trio.CancelScope()
        self._inbox, self._arrived = trio.open_memory_channel[Item](MAX_QUEUED_FRAMES)
        self._queued = 0
        self._gate = Gate()
        self._lingering: dict[int, list[Any]] = {}
        self._peer_frames: dict[int, list[Any]] = {}
        self._client_frames: dict[int, Answers] = {}
        self._tick_ns = config.tick_ns
        self._disk = disk
        self.failure: DiskFailedError | None = None
        """Why it ended, if nobody killed it."""
        disk.attach(self.after)
        self.member = Member(config, disk, self, rng, timers.now_ns, monitor)
        self._timers.after(self._tick_ns, self._tick)

    def send_peer(self, member_id: int, wire: list[Any]) -> None:
        """The member's transport: messages of a batch leave together."""
        if wire[0] == COMMIT:
            self._lingering[member_id] = wire
            return
        if wire[0] == APPEND:
            self._lingering.pop(member_id, None)
        frame = self._peer_frames.get(member_id)
        if frame is None:
            self._peer_frames[member_id] = [wire]
        else:
            frame.append(wire)

    def after(self, delay_ns: int, callback: Callable[[], None]) -> LocalTimer:
        """A timer whose callback runs in the member's own turn."""
        return self._timers.after(delay_ns, partial(self._run_in_turn, callback))

    def deliver(self, item: Item) -> bool:
        """Put a frame, or work for the member's turn, in the inbox; False if the member is gone."""
        try:
            self._inbox.send_nowait(item)
        except (trio.WouldBlock, trio.BrokenResourceError):
            return False
        self._queued += 1
        if self._queued == 1:
            self._gate.open()
        return True

    def _run_in_turn(self, callback: Callable[[], None]) -> None:
        self.deliver(callback)

    def _tick(self) -> None:
        if not self.scope.cancel_called:
            self._timers.after(self._tick_ns, self._tick)
            self.deliver(self.member.tick)

    async def live(self) -> None:
        """Run, and the disk beside, until killed or until the disk fails (`failure`)."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._disk.run, self.deliver)
                await self.run()
                nursery.cancel_scope.cancel()
        except* DiskFailedError as failures:
            leaf: Exception = failures
            while isinstance(leaf, ExceptionGroup):
                leaf = leaf.exceptions[0]
            assert isinstance(leaf, DiskFailedError)
            self.failure = leaf

    async def run(self) -> None:
        """Handle batches until killed."""
        member, take = self.member, self._arrived.receive_nowait
        with self.scope, self._arrived:
            while True:
                await self._until_something_arrives()
                while self._queued:
                    self._queued -= 1
                    self._handle(take())
                member.finish_batch()
                self._flush()

    async def _until_something_arrives(self) -> None:
        if self._lingering:
            await self._linger()
        elif self._queued:
            await trio.lowlevel.checkpoint()
        if self._queued:
            self._gate.close()
        else:
            await self._gate.wait()

    async def _linger(self) -> None:
        """Let others run a little; send the news that no append has carried by then."""
        for _ in range(LINGER_PASSES):
            await trio.lowlevel.checkpoint()
            if self._queued:
                return
        for member_id, wire in self._lingering.items():
            self._network.to_member(self.id, member_id, _pack((True, self.id, [wire])))
        self._lingering.clear()

    def _handle(self, item: Item) -> None:
        if not isinstance(item, bytes):
            item()
            return
        from_member, sender, messages = msgpack.unpackb(item)
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

            def respond(answer: list[Any]) -> None:
                self._answer(client, RESPONSE, message_id, answer)

            self.member.receive_client(client, op, fields, respond)
        elif kind == WATCH:

            def push(item: list[Any]) -> None:
                self._answer(client, EVENTS, message_id, item)

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
        if self._peer_frames:
            frames, self._peer_frames = self._peer_frames, {}
            for member_id, messages in frames.items():
                self._network.to_member(self.id, member_id, _pack((True, self.id, messages)))
        if self._client_frames:
            answers, self._client_frames = self._client_frames, {}
            for client, items in answers.items():
                self._network.to_client(client, _pack(items))
