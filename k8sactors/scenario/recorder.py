"""Follows the pods and nodes of a run, for the checks at its end and the progress on the way."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors import simulation
from k8sactors.api.errors import StatusError, UnknownKindError
from k8sactors.api.scheme import Scheme
from k8sactors.checkers.cluster_history import ClusterHistory, ContainerSpan, Object, ObjectChange
from k8sactors.client import InformerFactory
from k8sactors.cluster import Cluster
from k8sactors.fabric import Host
from k8sactors.runtime.container_runtime import RUN_LOG
from k8sactors.runtime.run_log import RunLog

FOLLOWED = ("nodes", "pods")
FINAL = (
    "namespaces",
    "nodes",
    "pods",
    "services",
    "serviceaccounts",
    "configmaps",
    "secrets",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "jobs.batch",
    "cronjobs.batch",
)


@attrs.define
class Recorder:
    """Records changes from watches that survive the loss of an API server."""

    cluster: Cluster
    history: ClusterHistory = attrs.field(factory=ClusterHistory)
    pods: dict[str, str] = attrs.field(factory=dict)

    def start(self) -> None:
        """Begin to follow."""
        informers = InformerFactory(self.cluster.client)
        for resource in FOLLOWED:
            self._follow(resource, informers.informer(resource))
        informers.start()

    def _follow(self, resource: str, informer: Any) -> None:
        def record(change: str, obj: Object) -> None:
            now_ns = simulation.current().now_ns()
            self.history.changes.append(ObjectChange(now_ns, change, resource, obj))
            if resource != "pods":
                return
            uid = obj["metadata"]["uid"]
            if change == "DELETED":
                self.pods.pop(uid, None)
            else:
                self.pods[uid] = pod_state(obj)

        informer.add_handler(
            on_add=lambda obj: record("ADDED", obj),
            on_update=lambda _, new: record("MODIFIED", new),
            on_delete=lambda obj: record("DELETED", obj),
        )

    def pods_by_state(self) -> dict[str, int]:
        """Number of pods by phase; those that are being deleted count as Terminating."""
        counts: dict[str, int] = {}
        for state in self.pods.values():
            counts[state] = counts.get(state, 0) + 1
        return dict(sorted(counts.items()))

    async def finish(self) -> ClusterHistory:
        """The history with the final objects.

        Raises:
            StatusError: the API does not answer.
        """
        waiting = list(FINAL)
        final: dict[str, list[Object]] = {}
        while waiting:
            resource = waiting.pop()
            listed = await self.cluster.client.request("list", resource)
            final[resource] = listed["items"]
            waiting += [
                each
                for each in _owners_of(self.cluster.scheme, listed["items"])
                if each not in final
            ]
        self.history.final = final
        hosts = self.cluster.hosts.values()
        self.history.spans = [span for host in hosts for span in container_spans(host)]
        self.history.end_ns = simulation.current().now_ns()
        return self.history

    async def try_finish(self) -> ClusterHistory | None:
        """As `finish`; None while the API does not answer."""
        try:
            return await self.finish()
        except StatusError:
            return None


def _owners_of(scheme: Scheme, objects: list[Object]) -> dict[str, None]:
    """The served resources that own some of the objects: whether owners are gone is checked."""
    found: dict[str, None] = {}
    for obj in objects:
        for reference in obj["metadata"].get("ownerReferences") or ():
            try:
                info = scheme.kind(reference["apiVersion"], reference["kind"])
            except UnknownKindError:
                continue
            found[info.name] = None
    return found


def pod_state(pod: Object) -> str:
    """The phase, or Terminating."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    return str(pod.get("status", {}).get("phase") or "Pending")


def container_spans(host: Host) -> list[ContainerSpan]:
    """What really ran on a host; a run without an end ended with its boot, or still lasts."""
    log: Any = host.disk.get(RUN_LOG)
    if not isinstance(log, RunLog):
        return []
    spans = []
    for run in log.runs:
        ended_ns = run.ended_ns
        if ended_ns is None and run.boot <= len(host.power_cuts_ns):
            ended_ns = host.power_cuts_ns[run.boot - 1]
        spans.append(ContainerSpan(host.name, run.namespace, run.pod, run.started_ns, ended_ns))
    return spans
