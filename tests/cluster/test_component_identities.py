"""With RBAC every component is itself, and has the rights of its real counterpart alone."""

from __future__ import annotations

from functools import partial

import pytest

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.api.user import UserInfo, service_account_user
from k8sactors.apiserver.authz.controller_policy_table import CONTROLLER_ROLES
from k8sactors.apiserver.authz.policy_table import ROLES
from k8sactors.apiserver.server import APIServer
from k8sactors.client import Client
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.cluster.access import NODE_AND_RBAC, AccessOptions
from k8sactors.cluster.addons import addon_roles
from k8sactors.controllers.registry import find_controllers

ENFORCED = ClusterSpec(workers=2, access=AccessOptions(NODE_AND_RBAC))
SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "q", "namespace": "default"},
    "spec": {"hard": {"pods": "10"}},
}
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.27", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


def servers(cluster: Cluster) -> list[APIServer]:
    actors = [host.actor("apiserver") for host in cluster.hosts.values()]
    return [actor for actor in actors if isinstance(actor, APIServer)]


def refused(cluster: Cluster) -> dict[tuple[str, str, int], int]:
    return {
        key: count
        for server in servers(cluster)
        for key, count in server.requests.items()
        if key[2] in {401, 403}
    }


async def uncounted(cluster: Cluster) -> str | None:
    quota = await cluster.client.get("resourcequotas", "q", "default")
    used = (quota.get("status") or {}).get("used")
    return None if used == {"pods": "3"} else f"used: {used}"


async def left_over(cluster: Cluster) -> str | None:
    pods = (await cluster.client.list("pods", "default"))["items"]
    spaces = (await cluster.client.list("namespaces"))["items"]
    names = [each["metadata"]["name"] for each in (*pods, *spaces)]
    return "web or shop" if any(name.startswith(("web-", "shop")) for name in names) else None


def test_a_cluster_works_with_the_real_rights() -> None:
    async def main() -> None:
        async with Cluster(ENFORCED) as cluster:
            started = refused(cluster)
            await cluster.apply(WEB)
            await cluster.wait_available("deployments.apps/web")
            await cluster.wait_answers("web")
            # A role that is made of others is complete.
            admin = await cluster.client.get("clusterroles.rbac.authorization.k8s.io", "admin")
            assert any("pods/log" in rule["resources"] for rule in admin["rules"])
            await cluster.client.create("resourcequotas", QUOTA)
            await cluster.wait_for(partial(uncounted, cluster), "the quota counts")
            await cluster.client.create("namespaces", SHOP)
            await cluster.client.delete("namespaces", "shop")
            await cluster.client.delete("deployments.apps", "web", "default")
            await cluster.wait_for(partial(left_over, cluster), "everything is gone")
            assert refused(cluster) == started, "a component asked for what it may not do"
            users = {record.user.name for each in servers(cluster) for record in each.audit.records}
            assert {
                "system:kube-scheduler",
                "system:kube-controller-manager",
                "system:node:worker-1",
                "system:serviceaccount:kube-system:replicaset-controller",
                "system:serviceaccount:kube-system:endpointslice-controller",
            } <= users

    simulation.run(main)


def test_a_component_cannot_do_what_another_one_does() -> None:
    async def main() -> None:
        async with Cluster(ENFORCED) as cluster:
            ctx = cluster.client.ctx
            addresses = cluster.assembly.servers
            scheduler = Client(ctx, addresses, UserInfo("system:kube-scheduler"))
            with pytest.raises(StatusError, match='User "system:kube-scheduler" cannot list resou'):
                await scheduler.list("secrets")
            account = service_account_user("kube-system", "replicaset-controller")
            with pytest.raises(StatusError, match="cannot delete resource"):
                await Client(ctx, addresses, account).delete("nodes", "worker-1")
            node = Client(
                ctx, addresses, UserInfo("system:node:worker-1", groups=("system:nodes",))
            )
            assert await node.get("nodes", "worker-1")
            with pytest.raises(StatusError, match="only its own Node object"):
                await node.get("nodes", "worker-2")

    simulation.run(main)


def test_every_controller_has_a_role() -> None:
    accounts = {each.service_account or each.name for each in find_controllers().values()}
    of_addons = {role["metadata"]["name"] for _, role in addon_roles()}
    # Those of bootstrap tokens have roles in two namespaces.
    of_namespaces = {name.removeprefix("system:controller:") for _, name in ROLES}
    # As in the real manager it is no account of its own: it acts as the manager.
    accounts.remove("serviceaccount-token-controller")
    assert accounts <= set(CONTROLLER_ROLES) | of_addons | of_namespaces


def test_without_roles_everything_is_allowed_and_no_role_is_made() -> None:
    async def main() -> None:
        async with Cluster(ClusterSpec(workers=1)) as cluster:
            listed = await cluster.client.list("clusterroles.rbac.authorization.k8s.io")
            assert listed["items"] == []
            client = Client(cluster.client.ctx, cluster.assembly.servers, UserInfo("jane"))
            assert (await client.list("secrets"))["items"] == []

    simulation.run(main)
