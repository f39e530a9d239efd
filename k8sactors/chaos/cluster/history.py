"""The whole truth about a run, taken from places that no component can read.

The changes of objects come from a store member's revision history (nothing may have been
compacted), what containers really ran from the logs of the container engines. So the Kubernetes
checks judge what happened, not what some watch was told.
"""

from __future__ import annotations

from k8sactors.api import codec
from k8sactors.api.scheme import builtin
from k8sactors.checkers.cluster_history import ClusterHistory, ObjectChange
from k8sactors.cluster.assembly import Assembly
from k8sactors.fabric import Host
from k8sactors.scenario.recorder import container_spans
from raftstore.mvcc import Store

PREFIX = b"/registry/"
FIRST_REVISION = 2
# Whose every change is looked at; of the others the final state is enough.
FOLLOWED = frozenset(
    {
        "pods",
        "nodes",
        "persistentvolumes",
        "persistentvolumeclaims",
        "jobs.batch",
        "cronjobs.batch",
        "poddisruptionbudgets.policy",
    }
)
KV = tuple[bytes, int, int, int, bytes, int]


class IncompleteHistoryError(Exception):
    """No running store member has the whole history: something compacted it."""


def whole_store(assembly: Assembly) -> Store:
    """The furthest of the members that still have everything.

    Raises:
        IncompleteHistoryError: there is none.
    """
    stores = [host.member.store for host in assembly.members()]
    whole = [store for store in stores if store.space.log_base <= FIRST_REVISION]
    if not whole:
        raise IncompleteHistoryError("no store member has the history from the first revision on")
    return max(whole, key=lambda store: store.revision)


def cluster_history(assembly: Assembly, hosts: dict[str, Host], end_ns: int) -> ClusterHistory:
    """Everything that the Kubernetes checks look at.

    Raises:
        IncompleteHistoryError: the store has been compacted.
    """
    space = whole_store(assembly).space
    history = ClusterHistory(end_ns=end_ns)
    live: dict[bytes, KV] = {}
    for kv in space.written_since(FIRST_REVISION, space.revision):
        key = kv[0]
        if not key.startswith(PREFIX):
            continue
        before = live.get(key)
        if kv[3]:
            live[key] = kv
        else:
            live.pop(key, None)
        resource = key.split(b"/")[2].decode()
        if resource in FOLLOWED:
            change = _change(kv, before, resource, assembly.revision_times.of(kv[2]))
            if change is not None:
                history.changes.append(change)
    # Keys next to the objects (address allocations) are no resources.
    stored = {info.storage_name for info in builtin().stored()}
    for key, kv in live.items():
        resource = key.split(b"/")[2].decode()
        if resource in stored:
            history.final.setdefault(resource, []).append(codec.decode(kv[4], kv[2]))
    for host in hosts.values():
        history.spans += container_spans(host)
    return history


def _change(kv: KV, before: KV | None, resource: str, time_ns: int) -> ObjectChange | None:
    if kv[3]:
        kind = "ADDED" if kv[3] == 1 else "MODIFIED"
        return ObjectChange(time_ns, kind, resource, codec.decode(kv[4], kv[2]))
    if before is None:
        return None
    return ObjectChange(time_ns, "DELETED", resource, codec.decode(before[4], kv[2]))
