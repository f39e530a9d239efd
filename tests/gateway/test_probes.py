"""``/livez`` and ``/readyz``: what a member tells the probes that watch over it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from raftstore.gateway.app import Gateway
from raftstore.gateway.serving import LocalBackend
from raftstore.http import Head
from raftstore.server.local import LocalCluster
from tests.gateway.served import Served, ask
from tests.http.in_memory import Answer

READS = "[+]serializable_read ok\n[+]linearizable_read ok\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/livez", "ok\n"),
        ("/livez?verbose", "[+]serializable_read ok\nok\n"),
        ("/readyz", "ok\n"),
        ("/readyz?verbose", f"[+]data_corruption ok\n{READS}[+]non_learner ok\nok\n"),
        (
            "/readyz?verbose&exclude=data_corruption&exclude=nothing",
            f"{READS}[+]non_learner ok\nok\n",
        ),
        ("/readyz/linearizable_read?verbose", "[+]linearizable_read ok\nok\n"),
        ("/livez/serializable_read", "ok\n"),
    ],
)
def test_a_member_that_is_well_says_so(served: Served, path: str, text: str) -> None:
    assert ask(served, "GET", path) == (200, text.encode())


def test_other_checks_and_methods_are_refused(served: Served) -> None:
    assert ask(served, "GET", "/livez/linearizable_read")[0] == 404
    assert ask(served, "GET", "/readyz/")[0] == 404
    assert ask(served, "POST", "/readyz")[0] == 405


async def get(gateway: Gateway, path: str) -> tuple[int, str]:
    """Ask the application itself."""
    answer = Answer(gateway, Head("GET", path, (), "1.1"))
    await answer.run(b"")
    return answer.status, answer.body.decode()


def with_three(test: Callable[[LocalCluster, Gateway], Awaitable[None]]) -> Callable[[], None]:
    """Run a test with the gateway of the first member, on a clock that jumps."""

    async def run() -> None:
        async with LocalCluster(3) as cluster:
            await cluster.wait_leader()
            with trio.fail_after(60):
                await test(cluster, Gateway(LocalBackend(cluster, 1)))

    return lambda: trio.run(run, clock=MockClock(autojump_threshold=0))


@with_three
async def test_a_member_without_a_quorum_lives_but_is_not_ready(
    cluster: LocalCluster, gateway: Gateway
) -> None:
    for number in (2, 3):
        cluster.kill(number)
    await trio.sleep(10)
    assert await get(gateway, "/livez") == (200, "ok\n")
    status, text = await get(gateway, "/readyz")
    assert status == 503
    assert text.splitlines() == [
        "[+]data_corruption ok",
        "[+]serializable_read ok",
        "[-]linearizable_read failed: etcdserver: no leader",
        "[+]non_learner ok",
        "",
    ]
    status, text = await get(gateway, "/health")
    assert (status, text) == (503, '{"health":"false","reason":"RAFT NO LEADER"}')


@with_three
async def test_a_member_that_does_not_run_is_not_alive(
    cluster: LocalCluster, gateway: Gateway
) -> None:
    cluster.kill(1)
    status, text = await get(gateway, "/livez")
    assert status == 503
    assert text.startswith("[-]serializable_read failed: ")
