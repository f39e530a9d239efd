"""The store client on etcd's protocol as a user, at a served cluster and at a real etcd."""

from __future__ import annotations

import pytest
import trio

from raftstore.auth import refusals
from raftstore.errors import StoreError
from raftstore.gateway.client import open_client
from raftstore.wire import WatchCreateRequest
from tests.gateway.etcdctl import ETCDCTL, RealEtcd, etcdctl
from tests.gateway.served import Served

pytestmark = pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)


def guard(url: str) -> None:
    for command in (
        "user add root:secret",
        "user add ann:pw",
        "role add a",
        "role grant-permission a readwrite a/ --prefix",
        "user grant-role ann a",
        "auth enable",
    ):
        assert etcdctl(url, command).endswith("exit status 0")


def work_as_ann(urls: list[str]) -> None:
    async def run() -> None:
        store = "etcd://" + ",".join(url.removeprefix("http://") for url in urls)
        with trio.fail_after(30):
            async with open_client(store, user="ann", password="pw") as ann:
                await ann.put(b"a/1", b"one")
                found = await ann.get(b"a/1")
                assert found is not None
                with pytest.raises(StoreError) as denied:
                    await ann.get(b"b")
                assert denied.value.status == refusals.PERMISSION_DENIED
                with ann.events(WatchCreateRequest(b"a/", b"a0", 1)) as events:
                    batch, _ = await events.__anext__()
                    assert batch[0][1][0] == b"a/1"
                with (
                    pytest.raises(StoreError, match="permission denied"),
                    ann.events(WatchCreateRequest(b"b", b"", 1)) as refused,
                ):
                    await refused.__anext__()
            async with open_client(store, user="ann", password="wrong") as refused:
                with pytest.raises(StoreError) as failed:
                    await refused.get(b"a/1")
                assert failed.value.status == refusals.AUTH_FAILED

    trio.run(run)


def test_at_a_served_cluster(fresh: Served) -> None:
    guard(fresh.url)
    work_as_ann(fresh.urls)


def test_at_a_real_etcd(real_etcd: RealEtcd) -> None:
    guard(real_etcd.url)
    work_as_ann([real_etcd.url])
