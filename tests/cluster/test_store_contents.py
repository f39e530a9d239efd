"""What a cluster keeps in its store: everything, and nothing twice."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api import codec
from k8sactors.api.errors import StatusError
from k8sactors.api.scheme import builtin
from k8sactors.cluster import Cluster, ClusterSpec
from raftstore.wire import RangeRequest, RangeResponse

WEB: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "example.org/web:1"}]},
        },
    },
}
SETTINGS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"colour": "blue"},
}
PASSING = {"events", "leases.coordination.k8s.io"}
"""What components write again all the time."""


def stored(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """What lies in the store of the first member, by key."""
    request = RangeRequest(b"/registry/", b"/registry0")
    store = cluster.assembly.members()[0].member.store
    _code, fields = store.read_wire(request.op, request.to_wire())
    answer = RangeResponse.from_wire(fields)
    return {
        kv.key.decode(): codec.decode(kv.value, 0)
        for kv in answer.kvs
        if not kv.key.startswith((b"/registry/ranges.", b"/registry/compaction/"))
    }


async def listed(cluster: Cluster) -> dict[str, str]:
    """The uid of every object that the API shows, by the key that it should have."""
    found: dict[str, str] = {}
    for name in {info.name for info in builtin().stored()} - PASSING:
        try:
            items = (await cluster.client.list(name))["items"]
        except StatusError as error:
            if error.code != HTTPStatus.METHOD_NOT_ALLOWED:  # reviews are asked, not kept
                raise
            continue
        for item in items:
            metadata = item["metadata"]
            place = [part for part in (metadata.get("namespace"), metadata["name"]) if part]
            found["/".join(["/registry", name, *place])] = metadata["uid"]
    return found


@pytest.mark.covers("ST-02", "ST-03")
def test_whatever_the_api_shows_lies_in_the_store_and_outlives_every_other_process() -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(topology="external", workers=2)) as cluster:
            await cluster.apply([WEB, SETTINGS])
            await cluster.wait_available("deployments.apps/web")
            await trio.sleep(30)
            before = await listed(cluster)
            kept = stored(cluster)
            assert {key: kept[key]["metadata"]["uid"] for key in before} == before
            assert {key.split("/")[2] for key in kept} - PASSING == {
                key.split("/")[2] for key in before
            }
            deployment = kept["/registry/deployments.apps/default/web"]
            assert deployment["spec"]["replicas"] == 3
            assert deployment["status"]["availableReplicas"] == 3

            for host in cluster.hosts.values():
                for name in list(host.slots):
                    if name != "etcd":
                        host.restart_actor(name)
            await trio.sleep(60)
            await cluster.wait_available("deployments.apps/web")
            assert await listed(cluster) == before
            assert cluster.network.crashes == []

    simulation.run(main, seed=11)


@pytest.mark.covers("ST-18")
def test_an_accepted_change_takes_one_revision_and_an_apply_of_the_same_takes_none() -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(topology="single", workers=1)) as cluster:

            def revisions() -> list[int]:
                return [host.member.store.revision for host in cluster.assembly.members()]

            async def between_writes() -> int:
                # The components' own writes come on the full second; look between two of them.
                await trio.sleep(5.5 - trio.current_time() % 1)
                assert len(set(revisions())) == 1
                return revisions()[0]

            before = await between_writes()
            assert await cluster.apply([SETTINGS]) == {"configmap/settings": "created"}
            assert revisions() == [before + 1]
            assert await cluster.apply([SETTINGS]) == {"configmap/settings": "unchanged"}
            assert revisions() == [before + 1]
            changed = {**SETTINGS, "data": {"colour": "green"}}
            assert await cluster.apply([changed]) == {"configmap/settings": "configured"}
            assert revisions() == [before + 2]

    simulation.run(main, seed=12)
