"""Any sequence of requests, asked of two clusters over gRPC: the answers have to be the same.

A sequence is drawn without knowing where it will run: revisions in it are counted from the newest
one (`Ago`), and it begins with an empty key space. Both clusters have seen the same sequences, so
even the revisions in their answers are equal; what names a cluster, a member or a term is removed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import grpc
from hypothesis import strategies as st

from raftstore.gateway.health_service import PACKAGE as HEALTH
from raftstore.gateway.method import UNARY, Method
from raftstore.gateway.methods import METHODS

CALL_TIMEOUT_S = 10.0
OWN_FIELDS = ("cluster_id", "member_id", "raft_term")
MAX_TXN_DEPTH = 3
LEASES = (1, 2, 3)
TTLS = (600, 700, 1, 0, -1, 9_000_000_001, 2**62)
BY_NAME = {method.name: method for method in METHODS if method.package != HEALTH}


class Ago(NamedTuple):
    """A revision: so many before the newest one; negative: in the future."""

    revisions: int


class Step(NamedTuple):
    """A call of a method, with the fields of its request."""

    method: str
    fields: dict[str, Any]


# -- what is asked ---------------------------------------------------------------------------------

KEYS = st.sampled_from((b"a", b"a", b"aa", b"b", b"c", b"\xff", b""))
ENDS = st.sampled_from((b"", b"", b"\0", b"b", b"c", b"\xff\xff", b"a"))
VALUES = st.sampled_from((b"", b"1", b"1", b"2", b"10"))
REVISIONS = st.sampled_from((0, 0, 0, 1, -1, 2**62, Ago(0), Ago(1), Ago(2), Ago(4), Ago(-1)))
LEASE_IDS = st.sampled_from((0, *LEASES, 99, -1))
FLAGS = st.booleans()
RARELY = st.sampled_from((False, False, False, True))
NUMBERS = st.sampled_from((0, 1, 2, -1, 5))


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A request with some of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def with_key(
    fields: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda key, rest: {"key": key, **rest}, KEYS, fields)


RANGE = with_key(
    some(
        range_end=ENDS,
        limit=NUMBERS,
        revision=REVISIONS,
        sort_order=st.integers(0, 2),
        sort_target=st.integers(0, 4),
        serializable=FLAGS,
        keys_only=RARELY,
        count_only=RARELY,
        min_mod_revision=REVISIONS,
        max_mod_revision=REVISIONS,
        min_create_revision=REVISIONS,
        max_create_revision=REVISIONS,
    )
)
PUT = with_key(
    some(value=VALUES, lease=LEASE_IDS, prev_kv=FLAGS, ignore_value=RARELY, ignore_lease=RARELY)
)
DELETE = with_key(some(range_end=ENDS, prev_kv=FLAGS))
# Etcd overlooks that an open end covers what the same transaction puts.
BOUNDED_DELETE = with_key(some(range_end=ENDS.filter(lambda end: end != b"\0"), prev_kv=FLAGS))
COMPARED = (
    ("version", st.sampled_from((0, 1, 2, -1))),
    ("create_revision", REVISIONS),
    ("mod_revision", REVISIONS),
    ("value", VALUES),
    ("lease", LEASE_IDS),
)


# Without an ID each cluster would choose another one.
GRANT = st.fixed_dictionaries({"ID": st.sampled_from((*LEASES, -7)), "TTL": st.sampled_from(TTLS)})


# A compaction at 0 says nothing; etcd takes it once and refuses it from then on.
COMPACT = st.fixed_dictionaries({"revision": REVISIONS.filter(bool)}, optional={"physical": FLAGS})


@st.composite
def compare(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly with a value of the kind that its target asks for."""
    target = draw(st.integers(0, 4))
    name, values = COMPARED[target if draw(st.integers(0, 9)) else draw(st.integers(0, 4))]
    fields: dict[str, Any] = {
        "target": target,
        "result": draw(st.integers(0, 3)),
        "key": draw(KEYS),
    }
    if draw(st.integers(0, 9)):
        fields[name] = draw(values)
    if not draw(st.integers(0, 3)):
        fields["range_end"] = draw(ENDS)
    return fields


def has_one_transaction(branch: list[dict[str, Any]]) -> bool:
    """Etcd lets one nested transaction delete what another one has put, in the same revision."""
    return sum("request_txn" in operation for operation in branch) <= 1


@st.composite
def txn(draw: st.DrawFn, depth: int = 1) -> dict[str, Any]:
    kinds = [
        ("request_range", RANGE),
        ("request_put", PUT),
        ("request_delete_range", BOUNDED_DELETE),
    ]
    if depth < MAX_TXN_DEPTH:
        kinds.append(("request_txn", txn(depth + 1)))

    def operation(draw: st.DrawFn) -> dict[str, Any]:
        name, requests = draw(st.sampled_from(kinds))
        return {name: draw(requests)}

    operations = st.lists(st.composite(operation)(), max_size=3).filter(has_one_transaction)
    return {
        "compare": draw(st.lists(compare(), max_size=2)),
        "success": draw(operations),
        "failure": draw(operations),
    }


METHOD_REQUESTS = (
    ("Range", RANGE),
    ("Range", RANGE),
    ("Put", PUT),
    ("Put", PUT),
    ("Put", PUT),
    ("DeleteRange", DELETE),
    ("Txn", txn()),
    ("Txn", txn()),
    ("Txn", txn()),
    ("Compact", COMPACT),
    ("LeaseGrant", GRANT),
    ("LeaseRevoke", some(ID=LEASE_IDS)),
    ("LeaseTimeToLive", some(ID=LEASE_IDS, keys=FLAGS)),
    ("LeaseLeases", some()),
    ("LeaseKeepAlive", some(ID=LEASE_IDS)),
    ("HashKV", some(revision=REVISIONS)),
    ("MoveLeader", some(targetID=st.sampled_from((0, 5)))),
)
STEPS = st.one_of(*(st.builds(Step, st.just(name), requests) for name, requests in METHOD_REQUESTS))
SEQUENCES = st.lists(STEPS, max_size=25)


# -- who is asked ----------------------------------------------------------------------------------


class Side:
    """One of the clusters."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)

    def close(self) -> None:
        self._channel.close()

    def ask(self, method: Method, request: Any) -> tuple[str, Any]:
        """The status with its text, and the answer if there is one."""
        data = request.SerializeToString()
        make = self._channel.unary_unary if method.kind == UNARY else self._channel.stream_stream
        call = make(method.path, response_deserializer=method.response.FromString)
        try:
            if method.kind == UNARY:
                return "OK", call(data, timeout=CALL_TIMEOUT_S)
            return "OK", next(call(iter([data]), timeout=CALL_TIMEOUT_S))
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}", None


def resolved(value: Any, revision: int) -> Any:
    """The request with numbers for revisions that were relative."""
    match value:
        case Ago():
            return revision - value.revisions
        case dict():
            return {name: resolved(item, revision) for name, item in value.items()}
        case list():
            return [resolved(item, revision) for item in value]
    return value


def without_identity(answer: Any) -> Any:
    """The answer without what differs between any two clusters."""
    for field in OWN_FIELDS:
        answer.header.ClearField(field)
    if answer.DESCRIPTOR.name == "HashKVResponse":
        # A release of before 3.6 does not say `hash_revision`; -1 and 0 both mean never compacted.
        for field in ("hash", "hash_revision"):
            answer.ClearField(field)
        answer.compact_revision = max(0, answer.compact_revision)
    return answer


class Pair:
    """Two clusters that are asked the same."""

    def __init__(self, ours: str, theirs: str) -> None:
        self.addresses = (ours, theirs)
        self.sides = (Side(ours), Side(theirs))
        self.revision = 1
        self.compacted = 0

    def close(self) -> None:
        for side in self.sides:
            side.close()

    def ask(self, name: str, fields: dict[str, Any]) -> tuple[list[tuple[str, Any]], Any]:
        """What each of them says, ours first; and the request."""
        method = BY_NAME[name]
        request = method.request(**resolved(fields, self.revision))
        answers = [side.ask(method, request) for side in self.sides]
        plain = [
            (status, None if answer is None else without_identity(answer))
            for status, answer in answers
        ]
        header = getattr(plain[1][1], "header", None)
        if header is not None:
            self.revision = max(self.revision, header.revision)
        return plain, request

    def clear(self) -> None:
        """No keys, no leases, history as it may be."""
        leases = self.ask("LeaseLeases", {})[0][1][1].leases
        for lease in leases:
            self.ask("LeaseRevoke", {"ID": lease.ID})
        self.ask("DeleteRange", {"key": b"\0", "range_end": b"\0"})

    def run(self, sequence: list[Step]) -> None:
        """Ask one after the other.

        Raises:
            AssertionError: they do not say the same.
        """
        self.clear()
        for step in sequence:
            (ours, theirs), request = self.ask(*step)
            if step.method == "HashKV" and request.revision == self.compacted:
                # Etcd answers this since 3.6.
                continue
            if step.method == "Compact" and ours[0] == "OK":
                self.compacted = request.revision
            assert theirs == ours, f"{step.method}\n{request}\nreal: {theirs}\nours: {ours}"
