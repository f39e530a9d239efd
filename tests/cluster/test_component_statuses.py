"""`kubectl get componentstatuses`: what the components of a control plane answer."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster, ClusterSpec

SPEC = ClusterSpec(topology="external", workers=1)
NAMES = ["controller-manager", "etcd-0", "etcd-1", "etcd-2", "scheduler"]


def test_components_tell_how_they_are() -> None:
    async def main() -> None:
        async with Cluster(SPEC) as cluster:

            async def statuses(**options: Any) -> dict[str, tuple[str, str]]:
                listed = await cluster.client.list("componentstatuses", **options)
                conditions = {
                    each["metadata"]["name"]: each["conditions"][0] for each in listed["items"]
                }
                return {name: (of["status"], of["message"]) for name, of in conditions.items()}

            assert await statuses() == dict.fromkeys(NAMES, ("True", "ok"))
            found = await statuses(fieldSelector="metadata.name=scheduler")
            assert list(found) == ["scheduler"]
            one = await cluster.client.get("componentstatuses", "etcd-1")
            assert one["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
            with pytest.raises(StatusError) as refused:
                await cluster.client.get("componentstatuses", "etcd-9")
            assert refused.value.code == 404
            # The client asks the server of the first host.
            host = cluster.client.server.partition("/")[0]
            cluster.hosts[host].remove("kube-scheduler")
            leader = cluster.assembly.store_leader()
            assert leader is not None
            # Hosts are numbered from 1, components from 0.
            lost = next(number for number in (1, 2, 3) if f"etcd-{number}" != leader[0])
            cluster.hosts[f"etcd-{lost}"].remove("etcd")
            later = await statuses()
            assert later["scheduler"] == (
                "False",
                (
                    'Get "https://127.0.0.1:10259/healthz": dial tcp 127.0.0.1:10259: connect: '
                    "connection refused"
                ),
            )
            failed = {name for name, (status, _text) in later.items() if status == "False"}
            assert failed == {"scheduler", f"etcd-{lost - 1}"}

    simulation.run(main, seed=1)
