"""Bad requests over gRPC, asked of a served member and of a real etcd: the same codes and words.

What differs, differs for a reason that stands in `DIFFERENT`. Some requests end a real etcd of
release 3.4; those are asked of ours alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import grpc
import pytest

from raftstore.gateway.method import UNARY
from tests.gateway.bad_requests import GROUPS, PREPARED, Bad
from tests.gateway.differential import BY_NAME, OWN_FIELDS
from tests.gateway.real import ETCD, WITHOUT_ETCD

pytestmark = pytest.mark.skipif(ETCD is None, reason=WITHOUT_ETCD)

CALL_TIMEOUT_S = 10.0
LISTEN_S = 1.0
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Difference(NamedTuple):
    """What ours says; what a real etcd does, where it lives on; and why."""

    ours: str
    real: str | None
    why: str


SORT: Final = "INVALID_ARGUMENT: etcdserver: invalid sort option"
GRANT: Final = "INVALID_ARGUMENT: etcdserver: invalid auth management"
ADDRESSES: Final = "INVALID_ARGUMENT: etcdserver: given member URLs are invalid"
COMPARE: Final = "INVALID_ARGUMENT: etcdserver: unknown compare target or result"
CHECKED_LATER: Final = "checked since 3.5 or 3.6"
NOT_GUESSED: Final = "etcd takes a condition that it does not know for true"
SKIPPED: Final = "protobuf calls a field of another wire type unknown, and skips it"
NO_MEMBER: Final = "NOT_FOUND: etcdserver: member not found"

DIFFERENT: Final = {
    ("Range", "an unknown sort order"): Difference(SORT, "OK", CHECKED_LATER),
    ("Range", "an unknown sort target"): Difference(SORT, None, CHECKED_LATER),
    ("Range", "a negative sort target"): Difference(SORT, None, CHECKED_LATER),
    ("Range", "a target without an order"): Difference(SORT, None, CHECKED_LATER),
    ("Txn", "a read with an unknown order"): Difference(SORT, "OK", CHECKED_LATER),
    ("Txn", "a read with an unknown target"): Difference(SORT, None, CHECKED_LATER),
    ("Txn", "a compare with an unknown target"): Difference(COMPARE, "OK", NOT_GUESSED),
    ("Txn", "a compare with an unknown result"): Difference(COMPARE, "OK", NOT_GUESSED),
    ("MemberUpdate", "no address"): Difference(ADDRESSES, NO_MEMBER, "left to the client in etcd"),
    ("MemberUpdate", "a bad address"): Difference(ADDRESSES, NO_MEMBER, "left to the client"),
    ("Alarm", "an unknown action"): Difference(
        "INVALID_ARGUMENT: etcdserver: unknown alarm action", None, "no request ends the server"
    ),
    ("RoleGrantPermission", "no permission"): Difference(
        "INVALID_ARGUMENT: etcdserver: permission not given", None, CHECKED_LATER
    ),
    ("RoleGrantPermission", "a permission without a key"): Difference(GRANT, "OK", CHECKED_LATER),
    ("RoleGrantPermission", "an end before the key"): Difference(GRANT, "OK", CHECKED_LATER),
    ("RoleGrantPermission", "an end that is the key"): Difference(GRANT, "OK", CHECKED_LATER),
    ("RoleGrantPermission", "an unknown kind"): Difference(GRANT, "OK", "it would permit nothing"),
    ("Put", "a number for a key"): Difference(
        "INVALID_ARGUMENT: etcdserver: key is not provided",
        "INTERNAL: grpc: error unmarshalling request: proto: wrong wireType",
        SKIPPED,
    ),
    ("Range", "a group"): Difference(
        "INVALID_ARGUMENT: etcdserver: key is not provided",
        "INTERNAL: grpc: error unmarshalling request: proto: wrong wireType",
        SKIPPED,
    ),
    ("Compact", "a text for a number"): Difference(
        "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted",
        "INTERNAL: grpc: error unmarshalling request: proto: wrong wireType",
        SKIPPED,
    ),
    ("RoleGet", "a name that is not UTF-8"): Difference(
        "INTERNAL: grpc: error unmarshalling request",
        "FAILED_PRECONDITION: etcdserver: role name not found",
        "protobuf wants strings to be UTF-8, which etcd's library does not check",
    ),
}


@pytest.fixture(scope="module")
def channels(addresses: tuple[str, str]) -> Iterator[tuple[grpc.Channel, ...]]:
    """To ours and to a real etcd, with the same in them."""
    opened = tuple(grpc.insecure_channel(address, UNLIMITED) for address in addresses)
    for method, fields in PREPARED:
        said = [answered(begin(channel, Bad("", method, fields))) for channel in opened]
        assert said[0].startswith("OK")
        assert said[0] == said[1]
    yield opened
    for channel in opened:
        channel.close()


def begin(channel: grpc.Channel, bad: Bad) -> Any:
    """Make the call; for a stream, with this message alone."""
    method = BY_NAME[bad.method]
    given = bad.request
    data = given if isinstance(given, bytes) else method.request(**given).SerializeToString()
    read = method.response.FromString
    call = channel.stream_stream(method.path, response_deserializer=read)
    timeout_s = CALL_TIMEOUT_S if method.kind == UNARY else LISTEN_S
    return call(iter([data]), timeout=timeout_s)


def answered(call: Any) -> str:
    """The status, its words, and what was answered before."""
    answers: list[Any] = []
    with contextlib.suppress(grpc.RpcError):
        answers.extend(call)
    code = call.code().name
    if code == "UNKNOWN" and call.details() == "context deadline exceeded":
        # The time was over for the server a moment before it was over here.
        code = "DEADLINE_EXCEEDED"
    words = "" if code in {"OK", "DEADLINE_EXCEEDED"} else f": {call.details()}"
    return "\n".join([f"{code}{words}", *(str(plain(answer)) for answer in answers)])


def plain(answer: Any) -> Any:
    """Without what differs between any two clusters."""
    if answer.DESCRIPTOR.name == "AlarmResponse":
        # It has a header since 3.5.
        answer.ClearField("header")
        return answer
    for field in OWN_FIELDS:
        answer.header.ClearField(field)
    if answer.DESCRIPTOR.name == "HashKVResponse":
        for field in ("hash", "hash_revision"):
            answer.ClearField(field)
    return answer


def without_detail(ours: str, theirs: str) -> str:
    """Of bytes that are no message both say so; what is wrong with them, the libraries' words."""
    if ours.startswith("INTERNAL: grpc: ") and theirs.startswith(ours):
        return ours
    return theirs


@pytest.mark.parametrize("group", GROUPS)
def test_a_bad_request_is_answered_as_a_real_etcd_answers_it(
    channels: tuple[grpc.Channel, grpc.Channel], group: str
) -> None:
    def ask(bad: Bad) -> list[str]:
        difference = DIFFERENT.get((bad.method, bad.name))
        asked = channels if difference is None or difference.real else channels[:1]
        return [answered(begin(channel, bad)) for channel in asked]

    bads = GROUPS[group]
    # Watches are heard for a while; other requests find what those before them have left.
    with ThreadPoolExecutor(len(bads) if group == "watches" else 1) as pool:
        said = list(pool.map(ask, bads))
    for bad, (ours, *theirs) in zip(bads, said, strict=True):
        label = f"{bad.method}: {bad.name}"
        difference = DIFFERENT.get((bad.method, bad.name))
        if difference is None:
            assert without_detail(ours, theirs[0]) == ours, label
            continue
        assert ours == difference.ours, label
        assert [text.startswith(difference.real or "") for text in theirs] == [True] * len(theirs)


def test_every_difference_is_of_a_request() -> None:
    asked = [(bad.method, bad.name) for group in GROUPS.values() for bad in group]
    assert DIFFERENT.keys() <= set(asked)
    assert len(set(asked)) == len(asked)


def test_what_was_refused_has_left_nothing_behind(
    channels: tuple[grpc.Channel, grpc.Channel],
) -> None:
    everything = Bad("", "Range", {"key": b"\0", "range_end": b"\0"})
    ours, theirs = (answered(begin(channel, everything)) for channel in channels)
    assert theirs == ours
