"""Who asks with ``hasleader`` hears nothing from a member that is cut off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio
from trio.testing import MockClock

from raftstore.errors import NO_LEADER
from raftstore.gateway.app import Gateway
from raftstore.gateway.leadership import LOOK_S, MAX_LOOKS_WITHOUT
from raftstore.gateway.methods import find
from raftstore.gateway.serving import LocalBackend
from raftstore.raft import NO_MEMBER
from raftstore.server.local import LocalCluster
from tests.gateway.grpc_calls import Call

RANGE = "/etcdserverpb.KV/Range"
WATCH = "/etcdserverpb.Watch/Watch"
HAS_LEADER = {b"hasleader": b"true"}
LEFT = 1


@attrs.frozen
class Stage:
    """Three members, and the gateway of the first."""

    cluster: LocalCluster
    gateway: Gateway
    nursery: trio.Nursery

    def call(self, path: str, fields: dict[str, object], headers: dict[bytes, bytes]) -> Call:
        made = Call(self.gateway, path, find(path), headers)
        self.nursery.start_soon(made.run, fields)
        return made

    async def cut_off(self) -> None:
        """The others are gone, and the first one has noticed."""
        for number in (2, 3):
            self.cluster.kill(number)
        member = self.cluster.members[LEFT]
        while member.node.raft.leader != NO_MEMBER:  # noqa: ASYNC110 - it has no event
            await trio.sleep(0.1)


def staged(test: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on a clock that jumps."""

    async def run() -> None:
        async with LocalCluster(3) as cluster, trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + 600
            await cluster.wait_leader()
            gateway = Gateway(LocalBackend(cluster, LEFT))
            nursery.start_soon(gateway.endpoint.leadership.run)
            with trio.fail_after(60):
                await test(Stage(cluster, gateway, nursery))
            nursery.cancel_scope.cancel()

    return lambda: trio.run(run, clock=MockClock(autojump_threshold=0))


@staged
async def test_a_member_without_a_leader_refuses_who_wants_one(stage: Stage) -> None:
    own_state = {"key": b"a", "serializable": True}
    with_leader = stage.call(RANGE, own_state, HAS_LEADER)
    await with_leader.ended.wait()
    assert with_leader.code == 0
    await stage.cut_off()
    refused = stage.call(RANGE, own_state, HAS_LEADER)
    content = stage.call(RANGE, own_state, {})
    otherwise = stage.call(RANGE, own_state, {b"hasleader": b"false"})
    for call in (refused, content, otherwise):
        await call.ended.wait()
    assert (refused.code, refused.text) == (14, NO_LEADER.message)
    assert (content.code, otherwise.code) == (0, 0)


@staged
async def test_streams_that_want_a_leader_end_when_there_is_none_for_a_while(
    stage: Stage,
) -> None:
    request = {"create_request": {"key": b"a"}}
    wanting = stage.call(WATCH, request, HAS_LEADER)
    patient = stage.call(WATCH, request, {})
    await trio.sleep(10 * LOOK_S)
    assert wanting.messages
    assert patient.messages
    assert not wanting.ended.is_set()
    await stage.cut_off()
    with trio.fail_after((MAX_LOOKS_WITHOUT + 1) * LOOK_S):
        await wanting.ended.wait()
    assert (wanting.code, wanting.text) == (14, NO_LEADER.message)
    assert not patient.ended.is_set()
    patient.hang_up()


@staged
async def test_an_election_ends_no_stream(stage: Stage) -> None:
    wanting = stage.call(WATCH, {"create_request": {"key": b"a"}}, HAS_LEADER)
    await trio.sleep(LOOK_S)
    assert wanting.messages
    await stage.cut_off()
    await trio.sleep((MAX_LOOKS_WITHOUT - 2) * LOOK_S)
    stage.cluster.start(2)
    await trio.sleep(20 * LOOK_S)
    assert stage.cluster.members[LEFT].node.raft.leader != NO_MEMBER
    assert not wanting.ended.is_set()
    wanting.hang_up()
