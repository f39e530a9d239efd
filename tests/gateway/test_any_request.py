"""Whatever well-formed messages say, a member answers or refuses them, and lives on."""

from __future__ import annotations

from typing import Any

import hypothesis
import trio
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import strategies as st
from trio.testing import MockClock

from raftstore.errors import StoreError
from raftstore.gateway.codes import NUMBERS
from raftstore.gateway.endpoint import Endpoint
from raftstore.gateway.messages import message
from raftstore.gateway.method import UNARY
from raftstore.gateway.methods import METHODS
from raftstore.gateway.serving import LocalBackend
from raftstore.gateway.watching import WatchSession
from raftstore.server.credentials import Credentials
from raftstore.server.local import LocalCluster

EXTREMES = (0, 1, 2, 3, 7, -1, -(2**63), 2**63 - 1)
INTEGERS = st.sampled_from(EXTREMES) | st.integers(-(2**63), 2**63 - 1)
SCALARS = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_BYTES: st.sampled_from((b"", b"\0", b"a", b"b", b"\xff" * 9)),
    FieldDescriptor.TYPE_ENUM: st.integers(-2, 9),
    FieldDescriptor.TYPE_INT64: INTEGERS,
    FieldDescriptor.TYPE_STRING: st.text(max_size=3),
    FieldDescriptor.TYPE_UINT64: st.sampled_from((0, 1, 2, 2**64 - 1)),
}
UNARY_METHODS = [method for method in METHODS if method.kind == UNARY]
MAX_DEPTH = 4


def message_of(descriptor: Any) -> Any:
    return message(descriptor.name, descriptor.file.package)


@st.composite
def filled(draw: st.DrawFn, kind: Any, depth: int = 0) -> Any:
    """A message with any fields set to anything."""
    fields: dict[str, Any] = {}
    for field in kind.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        if field.message_type is not None:
            if depth >= MAX_DEPTH:
                continue
            values = filled(message_of(field.message_type), depth + 1)
        else:
            values = SCALARS[field.type]
        fields[field.name] = draw(st.lists(values, max_size=3) if field.is_repeated else values)
    return kind(**fields)


CALLS = st.lists(
    st.sampled_from(UNARY_METHODS).flatmap(
        lambda method: st.tuples(st.just(method), filled(method.request))
    ),
    max_size=20,
)


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True)
@hypothesis.given(calls=CALLS, watches=st.lists(filled(message("WatchRequest")), max_size=4))
def test_a_member_survives_any_request(calls: list[Any], watches: list[Any]) -> None:
    async def run() -> None:
        async with LocalCluster(1, credentials=Credentials(password_cost=4)) as cluster:
            await cluster.wait_leader()
            backend = LocalBackend(cluster, 1)
            endpoint, session = Endpoint(backend), WatchSession(backend)
            codes: dict[str, None] = {}
            for request in watches:
                session.request(request)
            for method, request in calls:
                try:
                    # A client that asks for a lock or campaigns may have to wait forever.
                    with trio.move_on_after(1):
                        await endpoint.call(method, request)
                except StoreError as refusal:
                    codes[refusal.code] = None
            assert NUMBERS.keys() >= codes.keys()
            await cluster.client().put(b"alive", b"")
            with trio.move_on_after(1):
                while True:
                    (await session.next()).SerializeToString()
            session.close()

    trio.run(run, clock=MockClock(autojump_threshold=0))
