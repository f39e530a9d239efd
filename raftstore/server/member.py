"""A store member: Raft and the key space, driven by an environment of messages and time.

It does no I/O of its own. The environment hands in what arrived (`receive_client`, `receive_peer`,
`watch`, `tick`); all this only queues or steps. Then it calls `finish_batch` once, which proposes
everything that waits as one batch and carries out what Raft says until nothing is left: send,
write, sync, answer, apply, push. So batches grow with the load by themselves (group commit), and an
idle member has no delay.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from msgpack import unpackb as unpack

from raftstore.errors import (
    Status,
    StoreError,
)
from raftstore.mvcc import Store, WatchHub
from raftstore.mvcc.lease import LEASE_CHECKPOINT
from raftstore.raft import (
    NO_MEMBER,
    Entry,
    Message,
    RaftMonitor,
    RawNode,
    Ready,
    Role,
    Snapshot,
    SoftState,
)
from raftstore.raft.messages import CONF_CHANGE, PROPOSE, SNAPSHOT
from raftstore.raft.state import Rng
from raftstore.server.auto_compaction import AutoCompaction
from raftstore.server.background import STEPS_PER_BATCH, STEPS_PER_TICK, BackgroundWork
from raftstore.server.backlog import Backlog
from raftstore.server.changes import begin
from raftstore.server.config import MemberConfig
from raftstore.server.credentials import Credentials
from raftstore.server.disk import Disk
from raftstore.server.dispatcher import RequestDispatcher
from raftstore.server.forwarded_proposals import ForwardedProposals
from raftstore.server.forwarding import (
    ASK_LEADER,
    INQUIRY,
    LEADER_ANSWER,
    PROPOSALS_REFUSED,
    REMOVED,
    MemberTransport,
)
from raftstore.server.membership import MEMBER_PUBLISH
from raftstore.server.observing import Observer
from raftstore.server.removal import Removal
from raftstore.server.requests import KEY_SLICE, ClientHandle, Respond, split_keys
from raftstore.server.snapshots import Snapshots
from raftstore.storage import DirectoryDisk, Durations, WalRecord

# What the constructor of a named tuple does, without its call: every write passes here.
_new_tuple: Final = tuple.__new__
# How long a member waits before it says again who it is.
PUBLISH_TICKS: Final = 20
# How often idle watches that asked for it are told the revision (etcd: 10 minutes).
PROGRESS_TICKS: Final = 6_000

Receive = Callable[[ClientHandle, str, list[Any], Respond], None]


class Member:
    """One member. All methods are synchronous; only `finish_batch` sends, answers and pushes."""

    def __init__(
        self,
        config: MemberConfig,
        disk: Disk,
        transport: MemberTransport,
        rng: Rng,
        now_ns: Callable[[], int],
        monitor: RaftMonitor | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.config = config
        self.id = config.id
        self.monitor = monitor
        self._disk = disk
        self._transport = transport
        self._now_ns = now_ns
        session, recovered = disk.open()
        founding = begin(config, recovered)
        if founding is not None:
            recovered = founding
            disk.append(WalRecord(founding.hard_state, [*founding.entries], None))
        self.store = Store(config.cluster_id, config.id)
        self._snapshots = Snapshots(config, self.store, disk, transport, session, now_ns)
        source = self._snapshots.source(lambda: self.node)
        self.node = RawNode(config.raft(), recovered, rng, source, now_ns)
        self._background = BackgroundWork(self.store)
        self.watches = WatchHub(self.store)
        self._dispatcher = dispatcher = RequestDispatcher(
            config,
            self.store,
            self.node,
            transport,
            self._background,
            session,
            rng,
            now_ns,
            monitor,
            credentials,
        )
        # Take a request; what it is given is called once, with the payload of the answer.
        self.receive_client: Receive = dispatcher.receive_client
        self.alarms, self.access, self.auth = dispatcher.alarms, dispatcher.access, dispatcher.auth
        self.changes = dispatcher.changes
        self._proposals, self._reads = dispatcher.proposals, dispatcher.reads
        self._quota, self._leases = dispatcher.quota, dispatcher.leases
        self._publish_tick = 0
        self._ticks = 0
        self._removal = Removal(config, self.node, transport, self.changes)
        self._forwarded_proposals = ForwardedProposals(self.node, transport)
        self.changes.section.on_change.append(lambda: self._removal.linger(self._ticks))
        if recovered.snapshot.index:
            self._snapshots.installed(recovered.snapshot)
        self.store.raft_term = recovered.hard_state.term
        self._auto_compaction = AutoCompaction(config.auto_compaction, config.tick_ns)
        self._client_watches: dict[ClientHandle, dict[int, None]] = {}
        self._leaderless_ticks = 0
        self._leader_changes = 0
        self._last_leader = NO_MEMBER
        # The record that must be durable before anything is promised.
        self._sync_position = disk.written
        self._backlog = Backlog(config.applied_at_once)
        self._running = False
        self._observer = None if monitor is None else Observer(monitor, self.node)
        if self._observer is not None:
            self._observer.restarted([] if founding is None else [*founding.entries])

    # -- input --------------------------------------------------------------------------------

    def receive_peer(self, sender_id: int, wire: list[Any]) -> None:
        """Take what another member has sent with `Transport.send_peer`, or a packed message."""
        kind = wire[0]
        if kind < ASK_LEADER:
            self.receive_message(sender_id, Message.from_wire(wire))
        elif sender_id in self._removal.former_members:
            self._removal.tell(sender_id, kind)
        elif kind == ASK_LEADER:
            self._dispatcher.asked_by_peer(sender_id, wire)
        elif kind == LEADER_ANSWER:
            self._dispatcher.forwarding.answered(wire)
        elif kind == PROPOSALS_REFUSED:
            _, keys, code, text = wire
            self._proposals.refuse(split_keys(keys), Status(code, text))
        elif kind == REMOVED:
            self.leave()
        elif kind != INQUIRY:
            self._snapshots.receive(sender_id, wire, self.node)

    def receive_stray(self, sender_id: int, wire: list[Any]) -> None:
        """Take a message for a member that was at this one's address before.

        Only a former member sends to one, or a member that will soon learn the new address.
        """
        if sender_id in self._removal.former_members:
            self._removal.tell(sender_id, wire[0])

    def receive_message(self, sender_id: int, message: Message) -> None:
        """Take a Raft message of another member; it stays as it is."""
        if sender_id in self._removal.former_members:
            self._removal.tell(sender_id, message.kind)
            return
        if self._dispatcher.guarded:
            self._removal.linger(self._ticks)
        if message.kind == PROPOSE:
            self._forwarded_proposals.take(sender_id, message)
        else:
            self.node.step(message)

    def leave(self) -> None:
        """The cluster continues without this member, as another member has told."""
        if self._removal.told():
            self._dispatcher.update_guard()
            self._removal.linger(self._ticks)

    # -- watches ------------------------------------------------------------------------------

    def watch(
        self, client: ClientHandle, fields: list[Any], push: Callable[[list[Any]], None]
    ) -> int:
        """Open a watch on this member's state; `push` takes the payloads of ``store.events``.

        Raises:
            StoreError: the request is refused.
        """
        self._dispatcher.check_watch(fields)
        watch_id = self.watches.create(fields, push)
        self._client_watches.setdefault(client, {})[watch_id] = None
        return watch_id

    def cancel_watch(self, client: ClientHandle, watch_id: int) -> None:
        """End a watch; a last item says so."""
        if self._client_watches.get(client, {}).pop(watch_id, watch_id) is None:
            self.watches.cancel(watch_id)

    def close_client(self, client: ClientHandle) -> None:
        """The client is gone, and its watches with it."""
        for watch_id in self._client_watches.pop(client, {}):
            self.watches.drop(watch_id)

    # -- time ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """`config.tick_ns` have passed."""
        self._ticks += 1
        self.node.tick()
        self._snapshots.tick(self.node)
        if self._background:
            self._background.work(STEPS_PER_TICK)
        if self._snapshots.hold_dropped_history():
            # Where nothing is written any more, nothing else would let go of it.
            self._snapshots.advance(self.node)
            self.sync_disk(_nothing)
        if self._has_work():
            self._dispatcher.expire(self._now_ns(), self._ticks)
        self._refuse_without_leader()
        if self._leaderless_ticks or self.node.raft.election_elapsed > self.config.election_ticks:
            self._removal.inquire(self._leaderless_ticks)
        if self._dispatcher.unpublished and self._ticks >= self._publish_tick:
            self._publish()
        expired = self._leases.expired(self.node, self._ticks)
        left = self._leases.checkpoint(self.node)
        if expired or left:
            position = len(self._proposals.waiting)
            for op, fields in expired:
                self.receive_client(None, op, fields, _ignore)
            if left:
                self._dispatcher.submit_own(LEASE_CHECKPOINT, [left], _ignore)
            self._proposals.speak_as_leader(position)
        if self._ticks % PROGRESS_TICKS == 0:
            self.watches.notify_progress()
        if self._auto_compaction:
            self._compact_when_due()

    def _compact_when_due(self) -> None:
        """Only the leader asks, and of the cluster as any client would."""
        store = self.store
        target = self._auto_compaction.target(self._ticks, store.revision, leading=self.is_leader)
        if target > store.compact_revision:
            self.receive_client(None, "compact", [target, False], _ignore)

    def _publish(self) -> None:
        """Tell the cluster what it does not know about this member, until it knows it."""
        fields = self.changes.to_publish()
        if fields is not None and self.node.raft.leader != NO_MEMBER:
            self._publish_tick = self._ticks + PUBLISH_TICKS
            # If too much waits already, it is said again later.
            with suppress(StoreError):
                self._dispatcher.submit(MEMBER_PUBLISH, fields, _ignore)

    def idle_ticks(self) -> int:
        """After how many ticks time alone can make a difference; at least 1.

        A follower that hears its leader, with no request waiting, has nothing to do before its
        election timeout. Its environment may then hand in the ticks of the meantime in one go,
        before whatever else arrives.
        """
        raft = self.node.raft
        if raft.role is not Role.FOLLOWER or raft.leader == NO_MEMBER:
            return 1
        if self._has_work():
            return 1
        return max(1, raft.election_timeout - raft.election_elapsed)

    def _has_work(self) -> bool:
        works = self._background or self._snapshots.hold_dropped_history()
        return bool(self._dispatcher.has_waiting() or works)

    def _refuse_without_leader(self) -> None:
        """Let clients try another member when an election takes longer than it should."""
        if self.node.raft.leader != NO_MEMBER:
            self._leaderless_ticks = 0
            return
        self._leaderless_ticks += 1
        if self._leaderless_ticks >= 2 * self.config.election_ticks:
            self._dispatcher.refuse_without_leader()

    # -- the batch ----------------------------------------------------------------------------

    def finish_batch(self) -> None:
        """Carry out everything that the input since the last call has caused."""
        if self._running:
            return
        self._running = True
        node = self.node
        if self._proposals.waiting:
            self._proposals.propose(node, leading=node.raft.role is Role.LEADER)
        if self.changes.waiting:
            self.changes.propose()
        if self._reads.waiting:
            self._reads.ask(node, self._ticks)
        if self._snapshots.receiver.receiving is not None:
            self._snapshots.load(node)
        messages = node.take_only_messages()
        if messages:
            self._send(messages)
        if self._backlog.ready is not None:
            self._continue_applying(self._backlog.ready)
        while node.has_ready():
            self._carry_out(node.ready())
        if self._reads.confirmed:
            self._reads.serve(node.raft.log.applied)
        for push, payload in self.watches.collect():
            push(payload)
        if self._background:
            self._background.work(STEPS_PER_BATCH)
        self._snapshots.resume(node)
        self._running = False

    @property
    def unfinished(self) -> bool:
        """Whether `finish_batch` has left something over; it is to be called again soon."""
        return self._backlog.ready is not None

    def send_withheld(self) -> None:
        """Send what has waited in vain for company (`MemberConfig.lazy_replication`)."""
        self.node.send_withheld()
        self.finish_batch()

    def _send(self, messages: list[Message]) -> None:
        for message in messages:
            if message.kind == SNAPSHOT:
                self._snapshots.send(message)
            else:
                self._transport.send_message(message)

    def _carry_out(self, ready: Ready) -> None:
        if ready.soft_state is not None:
            self._roles_changed(ready.soft_state)
        if ready.messages:
            self._send(ready.messages)
        if ready.entries or ready.hard_state is not None or ready.snapshot is not None:
            self._write(ready)
        if ready.committed_entries:
            if self._backlog.take_up(ready, self.node.raft.log):
                self._continue_applying(ready)
                return
            self._apply(ready.committed_entries)
        self._applied(ready)

    def _continue_applying(self, ready: Ready) -> None:
        """Apply some of a backlog; the `Ready` is carried out when there is no more of it.

        Until then nothing of it is acknowledged, so that the leader waits with the next entries.
        """
        self._apply(self._backlog.next_slice())
        if not self.unfinished:
            self._applied(ready)

    def _applied(self, ready: Ready) -> None:
        if ready.read_states:
            self._reads.confirm(ready.read_states)
        if ready.must_sync:
            self._sync_position = self._disk.written
            self.sync_disk(partial(self._persisted, ready))
        else:
            self._persisted(ready)

    def _write(self, ready: Ready) -> None:
        record = (ready.hard_state, ready.entries, ready.snapshot)
        self._disk.append(_new_tuple(WalRecord, record))
        if self.monitor is not None and ready.entries:
            self.monitor.appended(self.id, ready.entries)

    def sync_disk(self, on_synced: Callable[[], None]) -> None:
        """Wait for the disk before any promise leaves this member."""
        self._disk.sync(on_synced)

    def _persisted(self, ready: Ready) -> None:
        """What the Ready asked to write is durable: promises may leave."""
        if self._observer is not None:
            durable = self._disk.synced >= self._sync_position
            self._observer.persisted(ready, durable=durable)
        if ready.snapshot is not None:
            self._install(ready.snapshot)
        if ready.messages_after_persist:
            self._send(ready.messages_after_persist)
        self.node.advance(ready)
        self._snapshots.advance(self.node)
        if not self._running:
            self.finish_batch()

    # -- the state machine --------------------------------------------------------------------

    def _apply(self, entries: list[Entry]) -> None:
        """Apply committed entries in one go, and answer the requests of this member among them."""
        if self.monitor is not None:
            self.monitor.applied(self.id, entries)
        now_ns = self._now_ns()
        apply = self.store.apply_wire
        take = self._proposals.pending.pop
        answered_bytes = 0
        for entry in entries:
            _, _, kind, data = entry
            if kind:
                if kind == CONF_CHANGE:
                    self.changes.apply(entry)
                continue
            request = take(data[KEY_SLICE], None)
            if request is None:
                _, op, fields = unpack(data)
                apply(op, fields, now_ns)
            else:
                op, fields, respond, _, size = request
                answered_bytes += size
                respond(apply(op, fields, now_ns))
        self._proposals.pending_bytes -= answered_bytes
        if self._quota.limit_bytes and self._quota.is_exceeded:
            self._quota.applied(entries)
        if self._leases.begins:
            self._leases.applied(entries[-1].term, self.node.raft.term)
        self._snapshots.applied_to(entries)
        self._proposals.settle(entries[-1].index)

    def _install(self, snapshot: Snapshot) -> None:
        if self.monitor is not None:
            self.monitor.installed(self.id, snapshot.index, snapshot.configuration)
        self._proposals.fate_unknown()
        self._snapshots.installed(snapshot)

    # -- roles --------------------------------------------------------------------------------

    def _roles_changed(self, state: SoftState) -> None:
        raft = self.node.raft
        self.store.raft_term = raft.term
        self._proposals.leader_changed()
        self._reads.leader_changed()
        self._leader_changes += state.leader not in {NO_MEMBER, self._last_leader}
        self._last_leader = state.leader
        leading = state.role is Role.LEADER
        if not leading:
            self._snapshots.stop_sending()
        self._leases.set_leading(leading=leading)
        if leading and self._observer is not None:
            self._observer.leads()
        self._dispatcher.leader_transfers.leader_changed(state.leader)

    # -- what is asked about it ---------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """Whether this member believes to lead."""
        return self.node.raft.role is Role.LEADER

    @property
    def removed(self) -> bool:
        """Whether the cluster continues without this member, and no member needs it any more.

        It serves no client from its removal on; now it can be stopped.
        """
        return self._removal.is_over(self._ticks)

    def statistics(self) -> dict[str, Any]:
        """Sizes and positions, for metrics."""
        return {
            **self.node.status(),
            **self.store.statistics(),
            **self._dispatcher.statistics(),
            "leader_changes": self._leader_changes,
            "receiving_snapshot": int(bool(self._snapshots.receiving)),
            **_disk_statistics(self._disk),
            **self._snapshots.statistics(),
            "disk_unsynced_records": self._disk.written - self._disk.synced,
            **self.watches.statistics(),
        }


def _disk_statistics(disk: Disk) -> dict[str, Any]:
    """Of a real disk; there is no time in a simulated one that would be worth counting."""
    if not isinstance(disk, DirectoryDisk):
        return {"sync_durations": Durations(), "wal_bytes": 0}
    return {"sync_durations": disk.sync_durations, "wal_bytes": disk.appended_bytes}


def _nothing() -> None:
    """No request waits for this."""


def _ignore(_payload: list[Any]) -> None:
    """The member itself asked, and looks at its state instead."""
