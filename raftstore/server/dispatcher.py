"""Where requests arrive: from clients, from the member itself, and from other members.

The dispatcher looks at what is asked and queues it where it waits for its turn: writes with the
proposals, reads with those that the leader has to confirm, requests that concern the time of a
lease or the members with the leader. It answers at once only requests that need no other member.
Nothing leaves here before the member's batch is finished.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from raftstore.errors import INVALID_ARGUMENT, NO_LEADER, NOT_LEADER, StoreError
from raftstore.mvcc import Store, check_request
from raftstore.mvcc.lease import LEASE_CHECKPOINT
from raftstore.raft import NO_MEMBER, RaftMonitor, RawNode, Role
from raftstore.raft.state import Rng
from raftstore.server.access import ACCESS_OPS, ACCOUNT_READS, Access
from raftstore.server.alarms import ALARM, ALARM_LIST, ALARM_SET, NAMES, Alarms, check_alarm
from raftstore.server.answers import Answers
from raftstore.server.background import BackgroundWork
from raftstore.server.changes import MemberChanges
from raftstore.server.config import MemberConfig
from raftstore.server.credentials import Credentials, SeededEntropy
from raftstore.server.forwarding import LEADER_ANSWER, Forwarding, MemberTransport
from raftstore.server.leader_transfer import LeaderTransfers
from raftstore.server.leases import LeaseKeeper
from raftstore.server.membership import MEMBER_OPS, check_shape
from raftstore.server.proposals import Proposals
from raftstore.server.quota import Quota
from raftstore.server.reads import ReadQueue
from raftstore.server.requests import ClientHandle, Request, RequestKeys, Respond

KEEP_ALIVE: Final = "lease_keep_alive"
LEADER_OPS: Final = MEMBER_OPS | {KEEP_ALIVE, "lease_time_to_live"}
LINEARIZABLE_OPS: Final = ACCOUNT_READS | {"range", "lease_leases", "member_list", ALARM_LIST}
# Place of `serializable` in a RangeRequest.
SERIALIZABLE_FIELD: Final = 6
# Place of `physical` in a CompactionRequest.
PHYSICAL_FIELD: Final = 1
# Place of `id` in a LeaseGrantRequest.
LEASE_ID_FIELD: Final = 1
MALFORMED: Final = [INVALID_ARGUMENT, "etcdserver: malformed request"]


class RequestDispatcher:
    """The requests of one member, and everything that they can wait for."""

    def __init__(
        self,
        config: MemberConfig,
        store: Store,
        node: RawNode,
        transport: MemberTransport,
        background: BackgroundWork,
        session: int,
        rng: Rng,
        now_ns: Callable[[], int],
        monitor: RaftMonitor | None,
        credentials: Credentials | None,
    ) -> None:
        # Whether something stands between clients and the member: accounts, or its own part.
        self.guarded = False
        # Whether the cluster does not know yet what the member says of itself.
        self.unpublished = False
        self._id = config.id
        self._store = store
        self._node = node
        self._transport = transport
        self._background = background
        self._now_ns = now_ns
        self._timeout_ns = config.request_timeout_ns
        self._keys = RequestKeys(config.id, session)
        self.alarms = Alarms(store)
        self.quota = Quota(config.quota_bytes, config.id, store, self.alarms, self.submit)
        self.answers = Answers(config, store, node, self.alarms, now_ns)
        self.access = Access(
            store,
            self.answers,
            credentials or Credentials(),
            SeededEntropy(rng),
            now_ns,
            (self._dispatch, self.submit, self._read),
        )
        self.auth = self.access.auth
        self.proposals = Proposals(self._keys, config)
        self.changes = MemberChanges(config, store, node, self.proposals, monitor)
        self.answers.own["member_list"] = self.changes.member_list
        self.auth.on_switch.append(lambda _on: self.update_guard())
        self.changes.section.on_change.append(self.update_guard)
        self.update_guard()
        self.reads = ReadQueue(self._keys, self.answers.answer, config.max_pending_requests)
        self.forwarding = Forwarding(transport, session << 32, config.max_pending_requests)
        self.leases = LeaseKeeper(config, store, now_ns)
        self.leader_transfers = LeaderTransfers(store, node)

    def receive_client(
        self, client: ClientHandle, op: str, fields: list[Any], respond: Respond
    ) -> None:
        """Take a request; `respond` is called once with the payload of the answer."""
        try:
            if self.guarded:
                self._receive_guarded(client, op, fields, respond)
            else:
                check_request(op, fields)
                if op in self._store.write_ops:
                    self.submit(op, fields, respond)
                else:
                    self._dispatch(op, fields, respond)
        except StoreError as refusal:
            respond(refusal.to_wire())
        except (IndexError, KeyError, TypeError, ValueError):
            respond(MALFORMED)

    def _receive_guarded(
        self, client: ClientHandle, op: str, fields: list[Any], respond: Respond
    ) -> None:
        self.changes.check_open(op, linearizable=op != "range" or self._must_linearize(op, fields))
        if self.auth.enabled:
            self.access.receive(client, op, fields, respond)
        else:
            check_request(op, fields)
            self._dispatch(op, fields, respond)

    def update_guard(self) -> None:
        """Look again at what stands between clients and the member."""
        changes = self.changes
        self.answers.is_learner = changes.is_learner
        self.unpublished = changes.to_publish() is not None
        self.guarded = self.auth.enabled or changes.is_removed or changes.is_learner

    def _dispatch(self, op: str, fields: list[Any], respond: Respond) -> None:
        if op in self._store.write_ops:
            self.submit(op, fields, respond)
            return
        deadline_ns = self._now_ns() + self._timeout_ns
        request = Request(op, fields, respond, deadline_ns)
        if op in LEADER_OPS:
            if op in MEMBER_OPS:
                check_shape(op, fields)
            self._ask_leader(request)
        elif op == "move_leader":
            self.leader_transfers.begin(request)
        elif op in LINEARIZABLE_OPS and self._must_linearize(op, fields):
            self.reads.add(request)
        elif op == ALARM:
            check_alarm(fields)
            self.submit(ALARM_SET, fields, respond)
        elif op == "hash_kv":
            self._background.hash_kv(fields, respond)
        elif op in ACCESS_OPS:
            self.access.receive("", op, fields, respond)
        else:
            respond(self.answers.answer(op, fields))

    def _read(self, op: str, fields: list[Any], respond: Respond) -> None:
        """A request with a token whose answer waits for the leader, unless it need not."""
        _, asked, asked_fields = fields
        if self._must_linearize(asked, asked_fields):
            deadline_ns = self._now_ns() + self._timeout_ns
            self.reads.add(Request(op, fields, respond, deadline_ns))
        else:
            respond(self.answers.answer(op, fields))

    def _must_linearize(self, op: str, fields: list[Any]) -> bool:
        """Whether the leader has to be asked before the local state may be read."""
        if op == "range":
            return not fields[SERIALIZABLE_FIELD]
        return op != "member_list" or bool(fields[0])

    def submit(self, op: str, fields: list[Any], respond: Respond) -> None:
        """Let a write wait for the end of the batch.

        Raises:
            StoreError: too much waits already.
        """
        if op == "compact" and fields[PHYSICAL_FIELD]:
            respond = self._background.after_sweep(respond)
        if op == "lease_grant" and not fields[LEASE_ID_FIELD]:
            fields = [fields[0], self._keys.next_number()]
        if self.quota.limit_bytes and not self.quota.admits(op, fields):
            self.quota.refuse(respond)
            return
        deadline_ns = self._now_ns() + self._timeout_ns
        self.proposals.submit(op, fields, respond, deadline_ns)

    def submit_own(self, op: str, fields: list[Any], respond: Respond) -> None:
        """A write of the member itself; a refusal is its answer."""
        try:
            self.submit(op, fields, respond)
        except StoreError as refusal:
            respond(refusal.to_wire())

    def _ask_leader(self, request: Request) -> None:
        leader = self._node.raft.leader
        if leader == self._id:
            self._answer_as_leader(request)
        elif leader == NO_MEMBER:
            raise StoreError(*NO_LEADER)
        else:
            self.forwarding.ask(leader, request)

    def _answer_as_leader(self, request: Request) -> None:
        if request.op in MEMBER_OPS:
            self.changes.take(request)
        elif request.op == KEEP_ALIVE and (undone := self.leases.take_back(request.fields[0])):
            self.submit_own(LEASE_CHECKPOINT, [undone], partial(self._renew, request))
        else:
            # The round of heartbeats proves that no successor keeps the lease's time by now.
            self.reads.add(request)

    def _renew(self, request: Request, payload: list[Any]) -> None:
        """The checkpoint of a lease has been taken back, or could not be."""
        if payload[0] != 0:
            request.respond(payload)
            return
        try:
            self.reads.add(request)
        except StoreError as refusal:
            request.respond(refusal.to_wire())

    def asked_by_peer(self, sender_id: int, wire: list[Any]) -> None:
        """Take what another member hands on to the leader, which this one may be."""
        _, number, op, fields = wire

        def respond(payload: list[Any]) -> None:
            self._transport.send_peer(sender_id, [LEADER_ANSWER, number, payload])

        if self._node.raft.role is not Role.LEADER or op not in LEADER_OPS:
            respond(list(NOT_LEADER))
            return
        if op in MEMBER_OPS and not self.forwarding.is_new(sender_id, number):
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

    def check_watch(self, fields: list[Any]) -> None:
        """Return if a client may open a watch here.

        Raises:
            StoreError: it may not.
        """
        if self.guarded:
            self.changes.check_open("watch", linearizable=True)
            if self.auth.enabled:
                self.access.check_watch(fields)

    def expire(self, now_ns: int, ticks: int) -> None:
        """Answer what has waited too long, and ask again what has not been answered."""
        self.proposals.expire(now_ns)
        self.reads.expire(now_ns)
        self.reads.retry(self._node, ticks)
        self.forwarding.expire(now_ns)
        self.leader_transfers.expire(now_ns)
        self.changes.expire(now_ns)

    def has_waiting(self) -> bool:
        """Whether time alone can make a difference to a request."""
        return bool(
            self.proposals.pending
            or self.reads
            or len(self.forwarding)
            or self.leader_transfers
            or self.changes.waiting
            or self.unpublished
        )

    def refuse_without_leader(self) -> None:
        """Let clients try another member."""
        self.proposals.refuse_waiting(NO_LEADER)
        self.reads.refuse_waiting()

    def statistics(self) -> dict[str, Any]:
        """What waits, for metrics."""
        return {
            "alarms": [NAMES[alarm] for _, alarm in self.alarms.to_wire()],
            "quota_bytes": self.quota.limit_bytes,
            "pending_proposals": len(self.proposals.pending),
            "pending_bytes": self.proposals.pending_bytes,
            "pending_reads": len(self.reads),
            "failed_proposals": self.proposals.failed_count,
            "failed_reads": self.reads.failed_count,
            "slow_reads": self.reads.slow_count,
            "forwarded": len(self.forwarding),
            "is_learner": self.changes.is_learner,
            "leases_expired": self.leases.expired_count,
            "auth_revision": self.auth.accounts.revision,
        }
