"""A StatefulSet's data follows its pods from node to node."""

from __future__ import annotations

import pytest
import trio

from k8sactors import simulation
from k8sactors.cluster import Cluster, ClusterSpec

DATABASE = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disks}
provisioner: csi.simulated
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: db, image: "postgres:17", volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: disks
      resources: {requests: {storage: 1Gi}}
"""


@pytest.mark.covers("SG-11", "SG-03")
def test_a_pod_that_moves_gets_its_volume_back_once_the_old_node_has_let_it_go() -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(topology="single", workers=2)) as cluster:
            await cluster.apply(DATABASE)

            async def ready() -> str | None:
                found = await cluster.client.get("statefulsets.apps", "db", "default")
                count = (found.get("status") or {}).get("readyReplicas", 0)
                return None if count == 2 else f"{count} ready"

            async def nodes() -> tuple[str, list[str]]:
                pod = await cluster.client.get("pods", "db-0", "default")
                claim = await cluster.client.get("persistentvolumeclaims", "data-db-0", "default")
                volume = claim["spec"]["volumeName"]
                listed = await cluster.client.list("volumeattachments.storage.k8s.io")
                attached = [
                    each["spec"]["nodeName"]
                    for each in listed["items"]
                    if each["spec"]["source"]["persistentVolumeName"] == volume
                ]
                return pod["spec"]["nodeName"], attached

            await cluster.wait_for(ready, "both pods are ready")
            before, attached = await nodes()
            assert attached == [before]
            cordon = {"spec": {"unschedulable": True}}
            await cluster.client.patch("nodes", before, cordon)
            await cluster.client.delete("pods", "db-0", "default")
            await trio.sleep(5)
            await cluster.wait_for(ready, "both pods are ready again")
            after, attached = await nodes()
            assert attached == [after] != [before]

    simulation.run(main)
