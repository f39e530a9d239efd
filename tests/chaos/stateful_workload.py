"""A database with claims and an agent on every node, as the chaos tests of both use them."""

from __future__ import annotations

from k8sactors.cluster import Cluster

MANIFEST = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disks}
provisioner: csi.simulated
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}, annotations: {sim/stop-after: "8"}}
    spec:
      containers: [{name: db, image: "postgres:17"}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: disks
      resources: {requests: {storage: 1Gi}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "agent:1"}]}
"""


async def set_up(cluster: Cluster) -> None:
    """Install both and wait until they are ready."""
    await cluster.apply(MANIFEST)
    await wait_ready(cluster)


async def wait_ready(cluster: Cluster) -> None:
    """Wait until the database and the agents are ready at their present templates."""

    async def missing() -> str | None:
        database = await cluster.client.get("statefulsets.apps", "db", "default")
        agents = await cluster.client.get("daemonsets.apps", "agent", "default")
        for each in (database, agents):
            generation = (each.get("status") or {}).get("observedGeneration")
            if generation != each["metadata"]["generation"]:
                return "a controller has not seen the latest template"
        status = database["status"]
        if not 3 == status.get("updatedReplicas") == status.get("readyReplicas"):
            return f"database: {status}"
        ready = agents["status"]["numberReady"]
        return None if ready == agents["status"]["desiredNumberScheduled"] else f"agents: {ready}"

    await cluster.wait_for(missing, "database and agents are ready", timeout_s=300)
