"""What a user of Deployments and Services relies on, seen from outside."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import trio
import yaml

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.org/web:1, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
SPEC = ClusterSpec(topology="single", workers=2)


async def pods_of(cluster: Cluster) -> dict[str, Any]:
    items = (await cluster.client.list("pods", "default"))["items"]
    return {item["metadata"]["name"]: item for item in items}


@pytest.mark.covers("SV-01", "CT-28")
def test_a_service_keeps_its_address_and_reconnects_to_the_replacement_of_its_pod() -> None:
    async def main() -> None:
        async with Cluster(SPEC) as cluster:
            await cluster.apply(WEB)
            await cluster.wait_answers("web")
            address = (await cluster.client.get("services", "web", "default"))["spec"]["clusterIP"]
            first = (await cluster.probe(address, port=80)).answer
            assert first is not None
            await cluster.client.delete("pods", first[1], "default", gracePeriodSeconds=0)

            async def missing() -> str | None:
                answer = (await cluster.probe(address, port=80)).answer
                return None if answer is not None and answer[1] != first[1] else str(answer)

            await cluster.wait_for(missing, "the replacement answers", timeout_s=60)
            service = await cluster.client.get("services", "web", "default")
            assert service["spec"]["clusterIP"] == address

    simulation.run(main, seed=2)


@pytest.mark.covers("CT-30", "WL-20")
def test_a_replica_set_reports_its_pods_owns_them_and_takes_them_along() -> None:
    async def main() -> None:
        async with Cluster(SPEC) as cluster:
            await cluster.apply(WEB.replace("replicas: 1", "replicas: 3"))
            await cluster.wait_available("deployments.apps/web")
            [replica_set] = (await cluster.client.list("replicasets.apps", "default"))["items"]
            status = replica_set["status"]
            assert replica_set["spec"]["replicas"] == 3
            assert (status["replicas"], status["readyReplicas"]) == (3, 3)
            pods = await pods_of(cluster)
            assert len(pods) == 3
            uid = replica_set["metadata"]["uid"]
            owners = [pod["metadata"]["ownerReferences"] for pod in pods.values()]
            assert all([owner["uid"] for owner in each] == [uid] for each in owners)
            await cluster.delete(WEB)

            async def missing() -> str | None:
                sets = (await cluster.client.list("replicasets.apps", "default"))["items"]
                return ", ".join(await pods_of(cluster)) or ("a replica set" if sets else None)

            await cluster.wait_for(missing, "everything is gone", timeout_s=60)

    simulation.run(main, seed=2)


def test_explicit_zeros_make_neither_a_generation_nor_a_replica_set() -> None:
    async def main() -> None:
        async with Cluster(SPEC) as cluster:
            await cluster.apply(WEB)
            await cluster.wait_available("deployments.apps/web")
            before = await cluster.client.get("deployments.apps", "web", "default")
            for pod, container in (
                ({"tolerations": []}, {}),
                ({"hostNetwork": False}, {"workingDir": ""}),
                ({"restartPolicy": "", "dnsPolicy": ""}, {"imagePullPolicy": "", "command": []}),
            ):
                body = copy.deepcopy(before)
                template = body["spec"]["template"]["spec"]
                template.update(pod)
                template["containers"][0].update(container)
                del body["metadata"]["resourceVersion"]
                await cluster.client.update("deployments.apps", body)
            applied = yaml.safe_load(WEB.split("---", maxsplit=1)[0])
            applied["spec"]["template"]["spec"].update({"tolerations": [], "hostNetwork": False})
            await cluster.apply([applied])
            await trio.sleep(10)
            sets = (await cluster.client.list("replicasets.apps", "default"))["items"]
            after = await cluster.client.get("deployments.apps", "web", "default")
            assert len(sets) == 1
            assert after["spec"] == before["spec"]
            # The apply has changed the annotation with what was applied last.
            assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1

    simulation.run(main, seed=3)
