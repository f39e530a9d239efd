"""Deliberate defects of the consensus: each breaks one rule that safety or liveness rests on."""

from __future__ import annotations

from functools import partial

import attrs

from k8sactors.chaos.store.options import StoreChaos
from k8sactors.chaos.store.partial_partition import CHECK
from k8sactors.chaos.store.run import run_store
from k8sactors.chaos.zoo.bug import Bug
from k8sactors.faults import Pace
from raftstore.raft import Message, RaftConfig, RawNode
from raftstore.raft.membership import Membership
from raftstore.raft.messages import VOTE_RESPONSE
from raftstore.raft.raft import Raft
from raftstore.raft.reads import Reads
from raftstore.raft.replication import Replication
from raftstore.raft.state import RaftState
from raftstore.server import MemberConfig
from raftstore.server.reads import ReadQueue, Round

ONE_NAME = b"the same"
_admit_older_term = Raft.admit_older_term
_raft_config = MemberConfig.raft


def _commit_any_term(_: Replication, _index: int) -> bool:
    return True


def _change_at_any_time(_: Membership) -> bool:
    return True


def _forget_vote_always(_: RaftState, _term: int) -> bool:
    return True


def _count_late_votes(raft: Raft, message: Message) -> bool:
    return message.kind == VOTE_RESPONSE or _admit_older_term(raft, message)


def _trust_own_leadership(_: Reads) -> bool:
    return True


def _serve_at_once(_: Reads) -> bool:
    return True


def _start_under_one_name(queue: ReadQueue, node: RawNode, rounds: list[Round]) -> bool:
    if not node.read_index(ONE_NAME):
        return False
    queue._rounds.setdefault(ONE_NAME, []).extend(rounds)  # noqa: SLF001 - the defect is inside
    return True


def _without_pre_vote_and_check_quorum(config: MemberConfig) -> RaftConfig:
    return attrs.evolve(_raft_config(config), pre_vote=False, check_quorum=False)


COUNTED_OLD_TERM = Bug(
    number=1,
    name="an entry of an older term is committed by counting replicas",
    origin="Raft 5.4.2, figure 8; logcabin 44",
    owner=Replication,
    function="may_commit",
    replacement=_commit_any_term,
    # A wide-area network and one entry per message: the moments that figure 8 shows take a while.
    campaign=partial(
        run_store,
        StoreChaos(
            clients=3,
            think_ms=300,
            latency_us=100_000,
            sync_latency_us=50_000,
            entries_per_message=1,
            faults_ms=60_000,
            settle_ms=60_000,
            kinds=("isolate-new-leader",),
            pace=Pace(mean_gaps_ms=(2_000, 3_000), longest_ms=(4_000, 8_000)),
        ),
    ),
    checks=("state-machine-safety", "leader-completeness", "linearizability", "commit-own-term"),
)

OVERLAPPING_CHANGES = Bug(
    number=2,
    name="one-at-a-time membership changes give disjoint quorums",
    origin="Ongaro, raft-dev 2015-07-10",
    owner=Membership,
    function="may_change_configuration",
    replacement=_change_at_any_time,
    # Slow disks: a new leader is asked for the next change before it has committed anything.
    campaign=partial(
        run_store,
        StoreChaos(
            spares=2,
            clients=2,
            think_ms=400,
            latency_us=20_000,
            sync_latency_us=100_000,
            settle_ms=60_000,
            kinds=(
                "add-member",
                "remove-member",
                "replace-member",
                "isolate-leader",
                "isolate-new-leader",
            ),
            pace=Pace(mean_gaps_ms=(700, 1_500), longest_ms=(1_000, 3_000)),
        ),
    ),
    checks=(
        "state-machine-safety",
        "leader-completeness",
        "one-change-at-a-time",
        "change-own-term",
    ),
)

FORGOTTEN_VOTE = Bug(
    number=3,
    name="the vote is forgotten on a step-down within the same term",
    origin="CCF 8094",
    owner=RaftState,
    function="forgets_vote",
    replacement=_forget_vote_always,
    campaign=partial(run_store, StoreChaos()),
    checks=("single-vote", "election-safety"),
)

LATE_VOTE = Bug(
    number=4,
    name="a vote response of an older term is counted",
    origin="little-raft 44",
    owner=Raft,
    function="admit_older_term",
    replacement=_count_late_votes,
    # Timeouts so short for such a network that candidates often stand again in the next term.
    campaign=partial(
        run_store,
        StoreChaos(
            clients=1,
            think_ms=3_000,
            latency_us=120_000,
            sync_latency_us=50_000,
            election_ticks=4,
            faults_ms=120_000,
            settle_ms=60_000,
            kinds=("kill-leader", "hold", "clog"),
            pace=Pace(mean_gaps_ms=(500, 1_500), longest_ms=(2_000, 5_000)),
        ),
    ),
    checks=("election-safety", "state-machine-safety", "log-matching"),
)

UNCONFIRMED_READ = Bug(
    number=5,
    name="a deposed leader answers linearizable reads without a quorum",
    origin="etcd 741",
    owner=Reads,
    function="read_needs_no_quorum",
    replacement=_trust_own_leadership,
    # Writers soon hang at a leader that is cut off; many readers and a little patience are needed.
    campaign=partial(
        run_store,
        StoreChaos(
            clients=9,
            think_ms=200,
            operations=9_000,
            kinds=("isolate-leader",),
            pace=Pace(mean_gaps_ms=(3_000,), longest_ms=(3_000,)),
        ),
    ),
    checks=("linearizability", "revision-order", "exact-answer"),
)

EARLY_READ = Bug(
    number=6,
    name="ReadIndex is served before the leader has committed in its own term",
    origin="etcd 7331",
    owner=Reads,
    function="may_serve_reads",
    replacement=_serve_at_once,
    # Slow disks: a new leader confirms a round of heartbeats long before its first entry commits.
    campaign=partial(
        run_store,
        StoreChaos(
            clients=6,
            think_ms=100,
            operations=9_000,
            latency_us=20_000,
            sync_latency_us=200_000,
            faults_ms=40_000,
            settle_ms=60_000,
            kinds=("isolate-leader",),
            pace=Pace(mean_gaps_ms=(1_500, 2_500), longest_ms=(2_000, 4_000)),
        ),
    ),
    checks=("linearizability", "revision-order", "exact-answer"),
)

REUSED_READ_NAME = Bug(
    number=7,
    name="a ReadIndex request id is reused; a delayed answer confirms the wrong one",
    origin="etcd 20418",
    owner=ReadQueue,
    function="start",
    replacement=_start_under_one_name,
    campaign=partial(
        run_store,
        StoreChaos(
            clients=6,
            think_ms=300,
            operations=9_000,
            latency_us=50_000,
            faults_ms=60_000,
            settle_ms=60_000,
            kinds=("hold", "degrade", "degrade"),
            pace=Pace(mean_gaps_ms=(1_000, 1_500), longest_ms=(2_500, 5_000)),
        ),
    ),
    checks=("linearizability", "revision-order", "exact-answer"),
)

UNSETTLED_ELECTIONS = Bug(
    number=13,
    name="partial partition without PreVote and CheckQuorum: elections never settle",
    origin="Cloudflare, 2020-11-02",
    owner=MemberConfig,
    function="raft",
    replacement=_without_pre_vote_and_check_quorum,
    campaign=partial(
        run_store,
        StoreChaos(
            clients=2,
            faults_ms=5_000,
            kinds=("kill-leader", "partition"),
            partial_partition=True,
        ),
    ),
    checks=(CHECK,),
)

BUGS = (
    COUNTED_OLD_TERM,
    OVERLAPPING_CHANGES,
    FORGOTTEN_VOTE,
    LATE_VOTE,
    UNCONFIRMED_READ,
    EARLY_READ,
    REUSED_READ_NAME,
    UNSETTLED_ELECTIONS,
)
