"""Deliberate defects: each replaces one function of the system while it is switched on.

They are here to test the tests: a check that never caught anything is not trusted. Nothing but the
zoo and its tests imports this module.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs

from k8sactors.chaos.cluster_run import ClusterChaos, run_cluster, store_and_kubelets
from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.store_options import StoreChaos
from k8sactors.chaos.store_run import run_store
from k8sactors.client.reflector import Reflector
from k8sactors.faults import Pace
from k8sactors.topology import ClusterSpec
from raftstore.raft.reads import Reads
from raftstore.raft.replication import Replication
from raftstore.raft.state import RaftState
from raftstore.server.member import Member


@attrs.frozen
class Bug:
    """One defect.

    Attributes:
        number: its row in the zoo.
        name: what is wrong.
        origin: where it was met, or which rule it breaks.
        owner: the class whose function is replaced.
        function: the name of the function.
        replacement: what takes its place.
        campaign: runs one seed of the campaign that provokes it: the right faults, and room.
        checks: the checks that may catch it, the most telling first; others do not count.
    """

    number: int
    name: str
    origin: str
    owner: type
    function: str
    replacement: Callable[..., Any]
    campaign: Callable[[int], Outcome]
    checks: tuple[str, ...]

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        """Build the defect in; the sound function comes back at the end, come what may."""
        sound = getattr(self.owner, self.function)
        setattr(self.owner, self.function, self.replacement)
        try:
            yield
        finally:
            setattr(self.owner, self.function, sound)


def _commit_any_term(_: Replication, _index: int) -> bool:
    return True


def _forget_vote_always(_: RaftState, _term: int) -> bool:
    return True


def _trust_own_leadership(_: Reads) -> bool:
    return True


def _promise_before_sync(member: Member, on_synced: Callable[[], None]) -> None:
    member._disk.sync(_nothing)  # noqa: SLF001 - the defect lives inside the member
    on_synced()


def _nothing() -> None:
    """Nobody waits for the disk."""


def _any_version(_: Reflector) -> str:
    return "0"


COUNTED_OLD_TERM = Bug(
    number=1,
    name="an entry of an older term is committed by counting replicas",
    origin="Raft section 5.4.2, figure 8",
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
            clients=6,
            think_ms=400,
            operations=9_000,
            kinds=("isolate-leader", "pause-leader"),
            pace=Pace(mean_gaps_ms=(3_000, 8_000), longest_ms=(5_000,)),
        ),
    ),
    checks=("linearizability", "revision-order"),
)

UNSYNCED_PROMISE = Bug(
    number=8,
    name="the client is acknowledged before the log is synced",
    origin="etcd 14370",
    owner=Member,
    function="sync_disk",
    replacement=_promise_before_sync,
    campaign=partial(
        run_store,
        StoreChaos(
            think_ms=200,
            operations=9_000,
            sync_latency_us=50_000,
            kinds=("power-cut",),
        ),
    ),
    checks=("linearizability", "state-machine-safety", "persist-before-reply"),
)

STALE_FIRST_LIST = Bug(
    number=14,
    name="a list at resourceVersion 0 from a lagging API server: one pod on two kubelets",
    origin="kubernetes 59848",
    owner=Reflector,
    function="first_version",
    replacement=_any_version,
    # One long partition among the store members, while API servers and kubelets restart often.
    campaign=partial(
        run_cluster,
        ClusterSpec(topology="stacked", workers=6),
        ClusterChaos(
            store_clients=0,
            api_clients=0,
            named_pods=20,
            kinds=("partition", *["restart-actor"] * 8),
            pace=Pace(mean_gaps_ms=(700, 1_200), longest_ms=(20_000,)),
            targets=store_and_kubelets,
        ),
    ),
    checks=("pod-runs-once",),
)

BUGS = {
    bug.number: bug
    for bug in (
        COUNTED_OLD_TERM,
        FORGOTTEN_VOTE,
        UNCONFIRMED_READ,
        UNSYNCED_PROMISE,
        STALE_FIRST_LIST,
    )
}
