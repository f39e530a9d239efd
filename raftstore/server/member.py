"""A store member: Raft and the key space, driven by whoever delivers messages and time.

It does no I/O of its own. The environment hands in what arrived (`receive_client`, `receive_peer`,
`watch`, `tick`); all this only queues or steps. Then it calls `finish_batch` once, which proposes
everything that waits as one batch and carries out what Raft says until nothing is left: send,
write, sync, answer, apply, push. So batches grow with the load by themselves (group commit), and an
idle member has no delay.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from msgpack import unpackb as unpack

from raftstore.errors import (
    INVALID_ARGUMENT,
    NO_LEADER,
    NOT_LEADER,
    Status,
    StoreError,
)
from raftstore.mvcc import Store, WatchHub, check_request
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
from raftstore.raft.messages import CONF_CHANGE, PRE_VOTE, PROPOSE, SNAPSHOT, VOTE
from raftstore.raft.state import Rng
from raftstore.storage import DirectoryDisk, Durations, WalRecord

from .access import ACCESS_OPS, ACCOUNT_READS, Access
from .alarms import ALARM, ALARM_LIST, ALARM_SET, NAMES, Alarms, check_alarm
from .answers import Answers
from .auto_compaction import AutoCompaction
from .changes import MemberChanges, begin
from .chores import STEPS_PER_BATCH, STEPS_PER_TICK, Chores
from .config import MemberConfig
from .credentials import Credentials, SeededEntropy
from .disk import Disk
from .forwarding import (
    ASK_LEADER,
    INQUIRY,
    LEADER_ANSWER,
    PROPOSALS_REFUSED,
    REMOVED,
    Forwarding,
    MemberTransport,
)
from .leases import LeaseKeeper
from .membership import MEMBER_OPS, MEMBER_PUBLISH, check_shape
from .moves import LeaderMoves
from .observing import Observer
from .passing import PassedOn
from .proposals import Proposals
from .quota import Quota
from .reads import ReadQueue
from .requests import KEY_SLICE, ClientHandle, Request, RequestKeys, Respond, split_keys
from .snapshots import Snapshots

KEEP_ALIVE: Final = "lease_keep_alive"
LEADER_OPS: Final = MEMBER_OPS | {KEEP_ALIVE, "lease_time_to_live"}
LINEARIZABLE_OPS: Final = ACCOUNT_READS | {"range", "lease_leases", "member_list", ALARM_LIST}
SERIALIZABLE_FIELD: Final = 6
"""Place of `serializable` in a RangeRequest."""
PHYSICAL_FIELD: Final = 1
"""Place of `physical` in a CompactionRequest."""
LEASE_ID_FIELD: Final = 1
"""Place of `id` in a LeaseGrantRequest."""
# What the constructor of a named tuple does, without its call: every write passes here.
_new_tuple: Final = tuple.__new__
MALFORMED: Final = [INVALID_ARGUMENT, "etcdserver: malformed request"]
PUBLISH_TICKS: Final = 20
"""How long a member waits before it says again who it is."""
LINGER_ELECTIONS: Final = 2
"""How many election timeouts a removed member stays after the last message of another one."""
PROGRESS_TICKS: Final = 6_000
"""How often idle watches that asked for it are told the revision (etcd: 10 minutes)."""


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
        self._timeout_ns = config.request_timeout_ns
        session, recovered = disk.open()
        founding = begin(config, recovered)
        if founding is not None:
            recovered = founding
            disk.append(WalRecord(founding.hard_state, [*founding.entries], None))
        self._keys = RequestKeys(config.id, session)
        self.store = Store(config.cluster_id, config.id)
        self._snapshots = Snapshots(config, self.store, disk, transport, session, now_ns)
        source = self._snapshots.source(lambda: self.node)
        self.node = RawNode(config.raft(), recovered, rng, source, now_ns)
        self._chores = Chores(self.store, self._snapshots.hold_dropped_history)
        self.watches = WatchHub(self.store)
        self.alarms = Alarms(self.store)
        self._quota = Quota(config.quota_bytes, config.id, self.store, self.alarms, self._submit)
        self._answers = Answers(config, self.store, self.node, self.alarms, now_ns)
        self.access = Access(
            self.store,
            self._answers,
            credentials or Credentials(),
            SeededEntropy(rng),
            now_ns,
            (self._dispatch, self._submit, self._read),
        )
        self.auth = self.access.auth
        self._unpublished = False
        self._publish_tick = 0
        self._ticks = 0
        self._needed_until_tick = 0
        """When a removed member may go at the earliest."""
        self._was_told = False
        """Whether another one has told of the removal: so one that stays knows of it, and this one
        must not ask for votes, nor keep another removed one from going."""
        self._guarded = False
        """Whether something stands between clients and the member: accounts, or its own part."""
        self._proposals = Proposals(self._keys, config)
        self._passed_on = PassedOn(self.node, transport)
        self.changes = MemberChanges(config, self.store, self.node, self._proposals, monitor)
        self._answers.own["member_list"] = self.changes.member_list
        self.auth.on_switch.append(lambda _on: self._update_guard())
        self.changes.section.on_change.append(self._update_guard)
        self._update_guard()
        if recovered.snapshot.index:
            self._snapshots.installed(recovered.snapshot)
        self.store.raft_term = recovered.hard_state.term
        self._reads = ReadQueue(self._keys, self._answers.answer, config.max_pending_requests)
        self._forwarding = Forwarding(transport, session << 32, config.max_pending_requests)
        self._leases = LeaseKeeper(config, self.store, now_ns)
        self._former_members = self.changes.section.removed
        self._moves = LeaderMoves(self.store, self.node)
        self._auto_compaction = AutoCompaction(config.auto_compaction, config.tick_ns)
        self._client_watches: dict[ClientHandle, dict[int, None]] = {}
        self._leaderless_ticks = 0
        self._leader_changes = 0
        self._last_leader = NO_MEMBER
        self._sync_position = disk.written
        """The record that must be durable before anything is promised."""
        self._running = False
        self._observer = None if monitor is None else Observer(monitor, self.node)
        if self._observer is not None:
            self._observer.restarted([] if founding is None else [*founding.entries])

    # -- input --------------------------------------------------------------------------------

    def receive_client(
        self, client: ClientHandle, op: str, fields: list[Any], respond: Respond
    ) -> None:
        """Take a request; `respond` is called once with the payload of the answer."""
        try:
            if self._guarded:
                self._receive_guarded(client, op, fields, respond)
            else:
                check_request(op, fields)
                if op in self.store.write_ops:
                    self._submit(op, fields, respond)
                else:
                    self._dispatch(op, fields, respond)
        except StoreError as refusal:
            respond(refusal.to_wire())
        except (IndexError, KeyError, TypeError, ValueError):
            respond(MALFORMED)

    def _receive_guarded(
        self, client: ClientHandle, op: str, fields: list[Any], respond: Respond
    ) -> None:
        self.changes.check_open(op, linearizable=op != "range" or self.must_linearize(op, fields))
        if self.auth.enabled:
            self.access.receive(client, op, fields, respond)
        else:
            check_request(op, fields)
            self._dispatch(op, fields, respond)

    def _update_guard(self) -> None:
        changes = self.changes
        self._answers.is_learner = changes.is_learner
        self._unpublished = changes.to_publish() is not None
        self._guarded = self.auth.enabled or changes.is_removed or changes.is_learner
        if changes.is_removed:
            self._linger()

    def _dispatch(self, op: str, fields: list[Any], respond: Respond) -> None:
        if op in self.store.write_ops:
            self._submit(op, fields, respond)
            return
        deadline_ns = self._now_ns() + self._timeout_ns
        request = Request(op, fields, respond, deadline_ns)
        if op in LEADER_OPS:
            if op in MEMBER_OPS:
                check_shape(op, fields)
            self._ask_leader(request)
        elif op == "move_leader":
            self._moves.begin(request)
        elif op in LINEARIZABLE_OPS and self.must_linearize(op, fields):
            self._reads.add(request)
        elif op == ALARM:
            check_alarm(fields)
            self._submit(ALARM_SET, fields, respond)
        elif op == "hash_kv":
            self._chores.hash_kv(fields, respond)
        elif op in ACCESS_OPS:
            self.access.receive("", op, fields, respond)
        else:
            respond(self._answers.answer(op, fields))

    def _read(self, op: str, fields: list[Any], respond: Respond) -> None:
        """A request with a token whose answer waits for the leader, unless it need not."""
        _, asked, asked_fields = fields
        if self.must_linearize(asked, asked_fields):
            deadline_ns = self._now_ns() + self._timeout_ns
            self._reads.add(Request(op, fields, respond, deadline_ns))
        else:
            respond(self._answers.answer(op, fields))

    def must_linearize(self, op: str, fields: list[Any]) -> bool:
        """Whether the leader has to be asked before the local state may be read."""
        if op == "range":
            return not fields[SERIALIZABLE_FIELD]
        return op != "member_list" or bool(fields[0])

    def _submit(self, op: str, fields: list[Any], respond: Respond) -> None:
        if op == "compact" and fields[PHYSICAL_FIELD]:
            respond = self._chores.after_sweep(respond)
        if op == "lease_grant" and not fields[LEASE_ID_FIELD]:
            fields = [fields[0], self._keys.next_number()]
        if self._quota.limit_bytes and not self._quota.admits(op, fields):
            self._quota.refuse(respond)
            return
        deadline_ns = self._now_ns() + self._timeout_ns
        self._proposals.submit(op, fields, respond, deadline_ns)

    def _submit_own(self, op: str, fields: list[Any], respond: Respond) -> None:
        """A write of the member itself; a refusal is its answer."""
        try:
            self._submit(op, fields, respond)
        except StoreError as refusal:
            respond(refusal.to_wire())

    def _ask_leader(self, request: Request) -> None:
        leader = self.node.raft.leader
        if leader == self.id:
            self._answer_as_leader(request)
        elif leader == NO_MEMBER:
            raise StoreError(*NO_LEADER)
        else:
            self._forwarding.ask(leader, request)

    def _answer_as_leader(self, request: Request) -> None:
        if request.op in MEMBER_OPS:
            self.changes.take(request)
        elif request.op == KEEP_ALIVE and (undone := self._leases.take_back(request.fields[0])):
            self._submit_own(LEASE_CHECKPOINT, [undone], partial(self._renew, request))
        else:
            # The round of heartbeats proves that no successor keeps the lease's time by now.
            self._reads.add(request)

    def _renew(self, request: Request, payload: list[Any]) -> None:
        """The checkpoint of a lease has been taken back, or could not be."""
        if payload[0] != 0:
            request.respond(payload)
            return
        try:
            self._reads.add(request)
        except StoreError as refusal:
            request.respond(refusal.to_wire())

    def receive_peer(self, sender_id: int, wire: list[Any]) -> None:
        """Take what another member has sent with `Transport.send_peer`, or a packed message."""
        kind = wire[0]
        if kind < ASK_LEADER:
            self.receive_message(sender_id, Message.from_wire(wire))
        elif sender_id in self._former_members:
            self._tell_removed(sender_id, kind)
        elif kind == ASK_LEADER:
            self._asked_by_peer(sender_id, wire)
        elif kind == LEADER_ANSWER:
            self._forwarding.answered(wire)
        elif kind == PROPOSALS_REFUSED:
            _, keys, code, text = wire
            self._proposals.refuse(split_keys(keys), Status(code, text))
        elif kind == REMOVED:
            self.leave()
        elif kind != INQUIRY:
            self._snapshots.receive(sender_id, wire, self.node)

    def receive_stray(self, sender_id: int, wire: list[Any]) -> None:
        """Take a message for a member that was at this one's address before.

        Only a former member sends to one, or somebody who will soon know better.
        """
        if sender_id in self._former_members:
            self._tell_removed(sender_id, wire[0])

    def receive_message(self, sender_id: int, message: Message) -> None:
        """Take a Raft message of another member; it stays as it is."""
        if sender_id in self._former_members:
            self._tell_removed(sender_id, message.kind)
            return
        if self._guarded and self.changes.is_removed:
            self._linger()
        if message.kind == PROPOSE:
            self._passed_on.take(sender_id, message)
        else:
            self.node.step(message)

    def leave(self) -> None:
        """The cluster goes on without this member, as another one has told."""
        self._was_told = True
        if not self.changes.is_removed:
            self.changes.is_removed = True
            self._update_guard()

    def _linger(self) -> None:
        """Stay for those who do not know yet that this member is removed.

        To them it still counts: of two members, the other one cannot even be elected without the
        vote of the one that is removed. (etcd leaves that to luck; its raft package advises against
        clusters of two.)
        """
        self._needed_until_tick = self._ticks + LINGER_ELECTIONS * self.config.election_ticks

    def _tell_removed(self, member_id: int, kind: int) -> None:
        """A member that missed its removal would stand for election for ever."""
        if kind in (PRE_VOTE, VOTE, INQUIRY):
            self._transport.send_peer(member_id, [REMOVED])

    def _asked_by_peer(self, sender_id: int, wire: list[Any]) -> None:
        _, number, op, fields = wire

        def respond(payload: list[Any]) -> None:
            self._transport.send_peer(sender_id, [LEADER_ANSWER, number, payload])

        if self.node.raft.role is not Role.LEADER or op not in LEADER_OPS:
            respond(list(NOT_LEADER))
            return
        if op in MEMBER_OPS and not self._forwarding.is_new(sender_id, number):
            return
        deadline_ns = self._now_ns() + self._timeout_ns
        try:
            if op in MEMBER_OPS:
                check_shape(op, fields)
            self._answer_as_leader(Request(op, fields, respond, deadline_ns))
        except StoreError as refusal:
            respond(refusal.to_wire())
        except (TypeError, ValueError):
            respond(MALFORMED)

    # -- watches ------------------------------------------------------------------------------

    def watch(
        self, client: ClientHandle, fields: list[Any], push: Callable[[list[Any]], None]
    ) -> int:
        """Open a watch on this member's state; `push` takes the payloads of ``store.events``.

        Raises:
            StoreError: the request is refused.
        """
        if self._guarded:
            self.changes.check_open("watch", linearizable=True)
            if self.auth.enabled:
                self.access.check_watch(fields)
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
        if self._chores:
            self._chores.work(STEPS_PER_TICK)
            if self._snapshots.hold_dropped_history():
                # Where nothing is written any more, nothing else would let go of it.
                self._snapshots.advance(self.node)
                self.sync_disk(_nothing)
        if self._anybody_waits():
            now_ns = self._now_ns()
            self._proposals.expire(now_ns)
            self._reads.expire(now_ns)
            self._reads.retry(self._ticks)
            self._forwarding.expire(now_ns)
            self._moves.expire(now_ns)
            self.changes.expire(now_ns)
        self._refuse_without_leader()
        if self._leaderless_ticks or self.node.raft.election_elapsed > self.config.election_ticks:
            self._inquire_after_silence()
        if self._unpublished and self._ticks >= self._publish_tick:
            self._publish()
        expired = self._leases.expired(self.node, self._ticks)
        left = self._leases.checkpoint(self.node)
        if expired or left:
            position = len(self._proposals.waiting)
            for op, fields in expired:
                self.receive_client(None, op, fields, _ignore)
            if left:
                self._submit_own(LEASE_CHECKPOINT, [left], _ignore)
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
                self._submit(MEMBER_PUBLISH, fields, _ignore)

    def idle_ticks(self) -> int:
        """After how many ticks time alone can make a difference; at least 1.

        A follower that hears its leader, with nobody waiting, has nothing to do before its
        election timeout. Its environment may then hand in the ticks of the meantime in one go,
        before whatever else arrives.
        """
        raft = self.node.raft
        if raft.role is not Role.FOLLOWER or raft.leader == NO_MEMBER:
            return 1
        if self._anybody_waits():
            return 1
        return max(1, raft.election_timeout - raft.election_elapsed)

    def _anybody_waits(self) -> bool:
        return bool(
            self._proposals.pending
            or self._reads
            or len(self._forwarding)
            or self._moves
            or self.changes.waiting
            or self._unpublished
            or self._chores
        )

    def _refuse_without_leader(self) -> None:
        """Let clients try another member when an election takes longer than it should."""
        if self.node.raft.leader != NO_MEMBER:
            self._leaderless_ticks = 0
            return
        self._leaderless_ticks += 1
        if self._leaderless_ticks >= 2 * self.config.election_ticks:
            self._proposals.refuse_waiting(NO_LEADER)
            self._reads.refuse_waiting()

    def _inquire_after_silence(self) -> None:
        """Ask all that are known, now and then, whether the cluster goes on without this member.

        One that may not vote stands for no election, by which it would be told, and takes a leader
        that has fallen silent for its leader for ever.
        """
        raft = self.node.raft
        if raft.role is Role.LEADER or self.changes.is_removed:
            return
        silent_ticks = max(self._leaderless_ticks, raft.election_elapsed)
        if silent_ticks % (2 * self.config.election_ticks):
            return
        for number in self.changes.known_others():
            self._transport.send_peer(number, [INQUIRY])

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
            self._snapshots.load(node, 1)
        messages = node.take_only_messages()
        if messages:
            self._send(messages)
        while node.has_ready():
            self._carry_out(node.ready())
        if self._reads.confirmed:
            self._reads.serve(node.raft.log.applied)
        for push, payload in self.watches.collect():
            push(payload)
        if self._chores:
            self._chores.work(STEPS_PER_BATCH)
        self._snapshots.go_on_sending(node)
        self._running = False

    def send_commits(self) -> None:
        """Tell the followers of commits whose news has waited (`MemberConfig.lazy_commits`)."""
        self.node.send_commits()
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
            self._apply(ready.committed_entries)
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
        """Wait for the disk before anything is promised to anybody."""
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
        self._moves.leader_changed(state.leader)

    # -- what is asked about it ---------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """Whether this member believes to lead."""
        return self.node.raft.role is Role.LEADER

    @property
    def removed(self) -> bool:
        """Whether the cluster goes on without this member, and nobody needs it any more.

        It serves no client from its removal on; now it can be stopped.
        """
        is_needed = self._ticks < self._needed_until_tick and not self._was_told
        return self.changes.is_removed and not is_needed

    def statistics(self) -> dict[str, Any]:
        """Sizes and positions, for metrics and for whoever watches."""
        return {
            **self.node.status(),
            **self.store.statistics(),
            "alarms": [NAMES[alarm] for _, alarm in self.alarms.to_wire()],
            "quota_bytes": self._quota.limit_bytes,
            "is_learner": self.changes.is_learner,
            "leader_changes": self._leader_changes,
            "failed_proposals": self._proposals.failed_count,
            "failed_reads": self._reads.failed_count,
            "slow_reads": self._reads.slow_count,
            "leases_expired": self._leases.expired_count,
            "receiving_snapshot": int(bool(self._snapshots.receiving)),
            "auth_revision": self.auth.accounts.revision,
            **_disk_statistics(self._disk),
            "pending_proposals": len(self._proposals.pending),
            "pending_bytes": self._proposals.pending_bytes,
            "pending_reads": len(self._reads),
            "forwarded": len(self._forwarding),
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
    """Nobody waits for this."""


def _ignore(_payload: list[Any]) -> None:
    """The member itself asked, and looks at its state instead."""
