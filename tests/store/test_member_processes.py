"""Members that reach each other over TCP, as they do in processes of their own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
import trustme

from raftstore.client import StoreClient
from raftstore.client.connection import Connection
from raftstore.errors import ConfigurationError, StoreError
from raftstore.server import MemberConfig, SimulatedDisk
from raftstore.server.initial_cluster import InitialCluster, parse_initial_cluster
from raftstore.server.local_timers import LocalTimers
from raftstore.server.peers.link import check_answer, dial
from raftstore.server.peers.protocol import (
    FrameReader,
    PeerProtocolError,
    ask_members,
    hello,
    pack_frame,
)
from raftstore.server.process import MemberProcess, MemberRemovedError
from raftstore.server.tls import TlsFiles, client_context, server_context

TIMEOUT_S = 20.0
Tls = tuple[ssl.SSLContext | None, ssl.SSLContext | None]
PLAIN: Tls = (None, None)


class Processes:
    """Three members with ports of their own; any of them can be stopped and started again."""

    def __init__(self, tls: dict[int, Tls], **settings: int) -> None:
        self.settings = {"tick_ns": 20_000_000, **settings}
        self.disks = {number: SimulatedDisk() for number in (1, 2, 3)}
        self.running: dict[int, MemberProcess] = {}
        self.removed: list[int] = []
        self.addresses: dict[str, tuple[str, int]] = {}
        self._tls = tls
        self._nursery: trio.Nursery | None = None
        self._timers = LocalTimers()

    async def open(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        nursery.start_soon(self._timers.run)
        listeners = [(await trio.open_tcp_listeners(0, host="127.0.0.1"))[0] for _ in self.disks]
        for number, listener in enumerate(listeners, start=1):
            self.addresses[f"m{number}"] = listener.socket.getsockname()[:2]
        for number, listener in enumerate(listeners, start=1):
            await self.start(number, listener)

    @property
    def cluster(self) -> InitialCluster:
        return InitialCluster(self.addresses)

    async def start(self, number: int, listener: trio.SocketListener | None = None) -> None:
        if listener is None:
            port = self.addresses[f"m{number}"][1]
            listener = (await trio.open_tcp_listeners(port, host="127.0.0.1"))[0]
        config = MemberConfig(
            number, self.cluster.peers("http"), cluster_id=self.cluster.cluster_id
        )
        await self.run(attrs.evolve(config, **self.settings), listener)

    async def run(self, config: MemberConfig, listener: trio.SocketListener) -> None:
        host, port = listener.socket.getsockname()[:2]
        process = self.running[config.id] = MemberProcess(
            config,
            self.disks.setdefault(config.id, SimulatedDisk()),
            listener,
            f"http://{host}:{port}",
            self._tls.get(config.id, PLAIN),
            seed=config.id,
        )
        assert self._nursery is not None

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            try:
                await process.run(task_status=task_status)
            except* MemberRemovedError:
                self.removed.append(config.id)

        await self._nursery.start(run)

    def stop(self, number: int) -> None:
        self.running.pop(number).scope.cancel()
        self.disks[number].crash()

    def client(self, number: int) -> StoreClient:
        def connect(_endpoint: str, on_close: Callable[[str], None]) -> Connection:
            return self.running[number].connect(on_close)

        return StoreClient([f"m{number}"], connect, self._timers.after)

    def leader(self) -> int:
        return next(
            n for n, process in self.running.items() if process.statistics()["role"] == "leader"
        )


@asynccontextmanager
async def processes(tls: dict[int, Tls] | None = None, **settings: int) -> AsyncIterator[Processes]:
    cluster = Processes(tls or {}, **settings)
    with trio.fail_after(TIMEOUT_S):
        async with trio.open_nursery() as nursery:
            await cluster.open(nursery)
            yield cluster
            nursery.cancel_scope.cancel()


async def test_they_elect_a_leader_and_replicate() -> None:
    async with processes() as cluster:
        for process in cluster.running.values():
            await process.wait_leader()
        await cluster.client(1).put(b"greeting", b"hello")
        for number in (1, 2, 3):
            kv = await cluster.client(number).get(b"greeting")
            assert kv is not None
            assert kv.value == b"hello"


async def test_a_member_that_was_stopped_catches_up_over_new_connections() -> None:
    async with processes() as cluster:
        await cluster.running[1].wait_leader()
        gone = cluster.leader()
        cluster.stop(gone)
        (first, *_) = cluster.running
        while cluster.running[first].statistics()["leader"] in {0, gone}:  # noqa: ASYNC110 - polled
            await trio.sleep(0.01)
        await cluster.client(first).put(b"meanwhile", b"written")
        await trio.testing.wait_all_tasks_blocked()
        await cluster.start(gone)
        await cluster.running[gone].wait_leader()
        kv = await cluster.client(gone).get(b"meanwhile")
        assert kv is not None
        assert kv.value == b"written"
        assert [*cluster.running[gone].statistics()["peers_active"].values()] == [True, True]


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\4\xc1\xc1\xc1\xc1", b"\xff" * 64, b"\0\0\0\1\x90"],
)
async def test_garbage_on_the_peer_port_ends_that_connection_only(data: bytes) -> None:
    async with processes() as cluster:
        await cluster.running[1].wait_leader()
        stream = await trio.open_tcp_stream(*cluster.addresses["m1"])
        async with stream:
            await stream.send_all(data)
            await stream.send_eof()
            while await stream.receive_some():
                pass
        await cluster.client(1).put(b"still", b"served")


async def _greet(cluster: Processes, greeting: list[object]) -> list[object]:
    stream = await dial(cluster.addresses["m1"], None)
    async with stream:
        await stream.send_all(pack_frame(greeting))
        return check_answer(await FrameReader(stream).read())


async def test_a_member_of_another_cluster_is_refused() -> None:
    async with processes() as cluster:
        with pytest.raises(StoreError, match="cluster ID mismatch"):
            await _greet(cluster, hello(4711, 2, 1))
        with pytest.raises(StoreError, match="check the peer addresses"):
            await _greet(cluster, hello(cluster.cluster.cluster_id, 2, 3))


async def test_who_wants_to_join_is_told_the_members() -> None:
    async with processes() as cluster:
        cluster_id, members = await _greet(cluster, ask_members())
        assert cluster_id == cluster.cluster.cluster_id
        assert isinstance(members, list)
        assert [name for _, name, *_ in members] == ["m1", "m2", "m3"]


def write_certificates(ca: trustme.CA, directory: Path) -> TlsFiles:
    pair = ca.issue_cert("127.0.0.1", common_name="peer")
    pair.private_key_pem.write_to_path(directory / "peer.key")
    for blob in pair.cert_chain_pems:
        blob.write_to_path(directory / "peer.crt", append=True)
    ca.cert_pem.write_to_path(directory / "ca.crt")
    return TlsFiles(
        str(directory / "peer.crt"), str(directory / "peer.key"), str(directory / "ca.crt"), True
    )


async def test_members_speak_tls_with_certificates_on_both_ends(tmp_path: Path) -> None:
    files = write_certificates(trustme.CA(), tmp_path)
    tls = server_context(files), client_context(files)
    async with processes({1: tls, 2: tls, 3: tls}) as cluster:
        await cluster.running[2].wait_leader()
        await cluster.client(2).put(b"secret", b"kept")
        with pytest.raises((trio.BrokenResourceError, PeerProtocolError)):
            await _greet(cluster, ask_members())


async def test_a_member_with_a_certificate_of_another_ca_stays_outside(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    ours.mkdir()
    other.mkdir()
    files = write_certificates(trustme.CA(), ours)
    stranger = write_certificates(trustme.CA(), other)
    tls = server_context(files), client_context(files)
    strange = server_context(stranger), client_context(stranger)
    async with processes({1: tls, 2: tls, 3: strange}) as cluster:
        await cluster.running[1].wait_leader()
        await cluster.client(1).put(b"two", b"suffice")
        assert not any(cluster.running[3].statistics()["peers_active"].values())
        assert cluster.running[3].statistics()["leader"] == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "NAME=HOST:PORT"),
        ("a=127.0.0.1", "HOST:PORT"),
        ("a=127.0.0.1:0", "HOST:PORT"),
        ("a=h:1,a=h:2", "twice"),
        ("a=h:1,b=h:1", "same address"),
    ],
)
def test_an_initial_cluster_that_cannot_be_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parse_initial_cluster(text)


def test_all_members_derive_the_same_ids() -> None:
    one = parse_initial_cluster("b=http://h:2,a=h:1,c=https://h:3/")
    other = parse_initial_cluster("c=h:3,a=h:1,b=h:2")
    assert one.cluster_id == other.cluster_id
    assert [one.member_id(name) for name in "abc"] == [1, 2, 3]
    assert one.cluster_id != parse_initial_cluster("a=h:1", "other token").cluster_id
    with pytest.raises(ConfigurationError, match="no member 'd'"):
        one.member_id("d")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (("absent", "absent"), "there is no file"),
        (("cert", ""), "belong together"),
        (("", "", "cert"), "no use without"),
        (("cert", "key", "", True), "judged by a CA"),
        (("cert", "cert"), "in PEM form"),
        (("cert", "key", "key"), "no CA certificate"),
    ],
)
def test_certificate_files_that_cannot_be_used_are_named(
    tmp_path: Path, names: tuple[str, ...], complaint: str
) -> None:
    write_certificates(trustme.CA(), tmp_path)
    places = {"cert": "peer.crt", "key": "peer.key", "absent": "absent"}
    arguments = [str(tmp_path / places[name]) if name in places else name for name in names]
    with pytest.raises(ConfigurationError, match=complaint):
        server_context(TlsFiles(*arguments))  # type: ignore[arg-type]


def test_versions_below_tls_1_2_are_not_spoken(tmp_path: Path) -> None:
    files = write_certificates(trustme.CA(), tmp_path)
    for context in (server_context(files), client_context(files)):
        assert context is not None
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
