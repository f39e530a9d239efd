"""The kubelet: the agent that makes a node do what the API says, and says what the node does.

It has three sources: the pods bound to the node (a watch), static pods of its own, and the runtime
(a listing after each connect, then events). A worker per pod brings them together.
There is no periodic work per pod: an idle kubelet wakes up for its lease alone.

The kubelet may die without its containers: a new one lists what the runtime has and takes it over
before it looks at any pod.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from k8sactors.actors import Actor, Message
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_time
from k8sactors.api.user import node_user
from k8sactors.client import Client, EventRecorder, InformerFactory, is_already_exists
from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.admission import Admission
from k8sactors.kubelet.cri_client import CRIClient, Listing
from k8sactors.kubelet.node_object import NodeSpec
from k8sactors.kubelet.node_registration import NodeRegistration
from k8sactors.kubelet.object_lookup import ObjectLookup
from k8sactors.kubelet.persistent_volumes import PersistentVolumes
from k8sactors.kubelet.pod_worker import PodWorker
from k8sactors.kubelet.server import KubeletServer
from k8sactors.kubelet.services import ReportedPod
from k8sactors.kubelet.static_pods import CONFIG_MIRROR, is_mirror, mirror_pod, static_pod
from k8sactors.kubelet.status_manager import StatusManager
from k8sactors.kubelet.volumes import ObjectVolumes, VolumeManager
from k8sactors.runtime import cri as cri_kinds
from k8sactors.runtime.cri import CRI, ContainerStatus, SandboxStatus
from k8sactors.runtime.errors import CRIError
from k8sactors.simulation import SECOND, Clock

_MIRROR_RETRY_NS = 2 * SECOND


@attrs.frozen
class KubeletSettings:
    """What can be chosen for a kubelet."""

    # Whether to tell the users of pulls, starts and ends; warnings are told always.
    pod_events: bool = True


class Kubelet(Actor):
    """The kubelet of one node.

    Args:
        node: the node's name, address, zone, capacity, labels and taints.
        servers: addresses of API servers, in the order of preference.
        runtime: address of the container runtime.
        static_pods: manifests of pods that run without the API server.
        settings: what else can be chosen.
    """

    clock: Clock
    cri: CRI
    volumes: VolumeManager

    def __init__(
        self,
        node: NodeSpec,
        servers: Sequence[str],
        runtime: str,
        static_pods: Iterable[Mapping[str, Any]] = (),
        settings: KubeletSettings | None = None,
    ) -> None:
        self._node = node
        self._servers = list(servers)
        self._runtime = runtime
        self._manifests = list(static_pods)
        self._settings = settings or KubeletSettings()
        self.host_ip = node.ip
        self.network_ready = False
        self.local_images: dict[str, str] = {}
        self.workers: dict[str, PodWorker] = {}
        # Pods whose resize waits for room.
        self._deferred: dict[str, None] = {}
        self._static: dict[str, dict[str, Any]] = {}
        self._forgotten: dict[str, None] = {}
        self._waiting_pods: dict[str, dict[str, Any]] = {}
        self._left_over: dict[str, tuple[SandboxStatus, list[ContainerStatus]]] = {}
        self._listed_once = False
        self._admission = Admission(node.capacity, node.all_labels())

    def on_start(self) -> None:
        """Connect to the runtime and to the API, register the node."""
        ctx = self.ctx
        self.clock = ctx
        self._client = Client(ctx, self._servers, node_user(self._node.name))
        self._recorder = EventRecorder(self._client, "kubelet", self._node.name)
        self._lookup = ObjectLookup(self._client, ctx.now_ns)
        self.volumes = PersistentVolumes(
            self._client, ctx, self._node.name, ObjectVolumes(self.require_objects)
        )
        self._statuses = StatusManager(self._client, ctx)
        self._registration = NodeRegistration(
            ctx, self._client, self._node, self._registered, self._recorder.event
        )
        self._runtime_client = CRIClient(
            ctx, self._runtime, self._runtime_connected, self._runtime_lost, self._exited
        )
        self.cri = self._runtime_client
        self._informers = InformerFactory(self._client)
        self._pods = self._informers.informer(
            "pods", field_selector=f"spec.nodeName={self._node.name}"
        )
        self._pods.add_handler(
            on_add=self._pod_seen,
            on_update=lambda _, pod: self._pod_seen(pod),
            on_delete=self._pod_deleted,
        )
        self._pods.when_synced(self._clean_up)
        nodes = self._informers.informer("nodes", field_selector=f"metadata.name={self._node.name}")
        nodes.add_handler(
            on_add=self._node_seen,
            on_update=lambda _, node: self._node_seen(node),
            on_delete=lambda _: self._registration.deleted(),
        )
        self._server = KubeletServer(ctx, self._runtime, self._node.name, self.workers)
        self._runtime_client.start()
        self._informers.start()
        self._registration.start()

    def on_message(self, message: Message) -> None:
        """The API server asks for something of a container, or of the node."""
        self._server.handle(message)

    def on_batch_end(self) -> None:
        """Send the statuses that have changed in this turn."""
        self._statuses.flush()

    # The node

    def _registered(self) -> None:
        for pod in self._static.values():
            self._create_mirror(pod)

    def _node_seen(self, node: dict[str, Any]) -> None:
        self._registration.seen(node)
        pod_cidr = node["spec"].get("podCIDR")
        if pod_cidr and not self.network_ready and self._runtime_client.connected:
            self._configure_network(pod_cidr)

    def _configure_network(self, pod_cidr: str) -> None:
        def done(body: Any) -> None:
            del body
            self._network_became_ready()

        self.cri.call(cri_kinds.UPDATE_RUNTIME_CONFIG, [pod_cidr], done, _ignore)

    def _network_became_ready(self) -> None:
        if not self.network_ready:
            self.network_ready = True
            self._registration.refresh(runtime_ready=True, network_ready=True)
            for worker in list(self.workers.values()):
                worker.sync()

    # The runtime

    def _runtime_connected(self, listing: Listing) -> None:
        self.network_ready = listing.network_ready
        self.local_images.clear()
        self._registration.runtime_version = listing.runtime_version
        self._registration.refresh(runtime_ready=True, network_ready=listing.network_ready)
        by_sandbox: dict[str, list[ContainerStatus]] = {}
        for container in listing.containers:
            by_sandbox.setdefault(container.sandbox_id, []).append(container)
        newest: dict[str, SandboxStatus] = {}
        for sandbox in sorted(listing.sandboxes, key=lambda sandbox: sandbox.attempt):
            older = newest.pop(sandbox.uid, None)
            if older is not None:
                self._remove_sandbox(older.id)
            if sandbox.state == cri_kinds.SANDBOX_READY:
                newest[sandbox.uid] = sandbox
        self._left_over = {
            uid: (sandbox, by_sandbox.get(sandbox.id, [])) for uid, sandbox in newest.items()
        }
        self._reconcile_workers()
        if not self._listed_once:
            self._listed_once = True
            self._start_static_pods()
            waiting, self._waiting_pods = self._waiting_pods, {}
            for pod in waiting.values():
                self._pod_seen(pod)
        node = self._registration.node
        if node is not None:
            self._node_seen(node)
        self._clean_up()

    def _reconcile_workers(self) -> None:
        """After the runtime was away: keep what runs, and begin again with what is gone."""
        for uid, worker in list(self.workers.items()):
            found = self._left_over.pop(uid, None)
            if found is not None:
                worker.adopt(*found)
            else:
                worker.lost_sandbox()
            worker.sync()
            self.status_changed(worker)

    def _runtime_lost(self) -> None:
        self._registration.refresh(runtime_ready=False, network_ready=self.network_ready)

    def _exited(self, status: ContainerStatus) -> None:
        for worker in self.workers.values():
            if worker.sandbox_id == status.sandbox_id:
                worker.container_exited(status)
                return

    def _clean_up(self) -> None:
        """Remove sandboxes of pods that no longer exist, once all sources have spoken."""
        if not (self._listed_once and self._pods.has_synced):
            return
        left_over, self._left_over = self._left_over, {}
        for sandbox, _ in left_over.values():
            self._remove_sandbox(sandbox.id)

    def _remove_sandbox(self, sandbox_id: str) -> None:
        self.cri.call(cri_kinds.STOP_POD_SANDBOX, [sandbox_id], _ignore, _ignore)
        self.cri.call(cri_kinds.REMOVE_POD_SANDBOX, [sandbox_id], _ignore, _ignore)

    # The pods

    def _pod_seen(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        if not self._listed_once:
            self._waiting_pods[uid] = pod
            return
        if is_mirror(pod):
            self._mirror_seen(pod)
            return
        worker = self.workers.get(uid)
        if worker is None:
            worker = self._take_on(pod)
            self._statuses.track(worker, pod)
        else:
            self._statuses.seen(uid, pod)
        if worker.over and not pod["metadata"].get("deletionTimestamp"):
            worker.pod = pod
            return
        worker.update(pod)

    def _take_on(self, pod: dict[str, Any]) -> PodWorker:
        worker = PodWorker(pod, self)
        uid = worker.uid
        self.workers[uid] = worker
        found = self._left_over.pop(uid, None)
        if worker.over:
            if found is not None:
                self._left_over[uid] = found
            return worker
        refusal = None
        if found is not None:
            worker.adopt(*found)
        elif not pod["metadata"].get("deletionTimestamp"):
            refusal = self._admission.refusal(pod)
        if refusal is not None:
            worker.reject(*refusal)
            return worker
        self._admission.add(uid, pod)
        if not pod["metadata"].get("deletionTimestamp"):
            worker.sync()
            self.status_changed(worker)
        return worker

    def _pod_deleted(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        self._waiting_pods.pop(uid, None)
        if is_mirror(pod):
            self._mirror_deleted(pod)
            return
        worker = self.workers.get(uid)
        if worker is None:
            return
        self._statuses.forget(uid)
        if worker.over:
            self._drop(uid)
        else:
            self._forgotten[uid] = None
            worker.terminate(pod_spec.grace_period_seconds(worker.pod))

    def _drop(self, uid: str) -> None:
        del self.workers[uid]
        self._forgotten.pop(uid, None)
        self._deferred.pop(uid, None)
        self._release(uid)

    def _release(self, uid: str) -> None:
        """A pod needs nothing any more: another one may have it."""
        self._admission.remove(uid)
        if self._deferred:
            for waiting in list(self._deferred):
                worker = self.workers.get(waiting)
                if worker is not None and not worker.over and not worker.terminating:
                    worker.resizing.begin()

    # Static pods

    def _start_static_pods(self) -> None:
        seen = format_time(self.ctx.wall_ns())
        for manifest in self._manifests:
            pod = static_pod(manifest, self._node.name, seen)
            self._static[pod["metadata"]["uid"]] = pod
            self._take_on(pod)
        if self._registration.node is not None:
            self._registered()

    def _create_mirror(self, pod: dict[str, Any]) -> None:
        def done(mirror: dict[str, Any]) -> None:
            self._mirror_seen(mirror)

        def failed(error: StatusError) -> None:
            if not is_already_exists(error):
                self.ctx.after(_MIRROR_RETRY_NS, lambda: self._create_mirror(pod))

        self._client.submit(
            "create",
            "pods",
            namespace=pod["metadata"]["namespace"],
            body=mirror_pod(pod, self._registration.node),
            on_done=done,
            on_error=failed,
        )

    def _mirror_seen(self, mirror: dict[str, Any]) -> None:
        uid = mirror["metadata"]["annotations"][CONFIG_MIRROR]
        worker = self.workers.get(uid)
        if worker is None or mirror["metadata"].get("deletionTimestamp"):
            metadata = mirror["metadata"]
            self._client.submit(
                "delete",
                "pods",
                namespace=metadata["namespace"],
                name=metadata["name"],
                options={"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}},
                on_done=_ignore,
                on_error=_ignore,
                decode=False,
            )
            return
        if self._statuses.object_uid(uid) != mirror["metadata"]["uid"]:
            self._statuses.track(worker, mirror)
            self._statuses.mark(uid)

    def _mirror_deleted(self, mirror: dict[str, Any]) -> None:
        uid = mirror["metadata"]["annotations"][CONFIG_MIRROR]
        self._statuses.forget(uid)
        pod = self._static.get(uid)
        if pod is not None:
            self._create_mirror(pod)

    # What workers ask for (NodeServices)

    def record_event(self, pod: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Tell the users something about a pod."""
        if kind != "Normal" or self._settings.pod_events:
            self._recorder.event(dict(pod), kind, reason, message)

    def require_objects(
        self,
        namespace: str,
        references: Iterable[tuple[str, str]],
        on_done: Callable[[str], None],
    ) -> None:
        """Look for ConfigMaps and Secrets."""
        self._lookup.require(namespace, references, on_done)

    def object_data(self, namespace: str, resource: str, name: str) -> Mapping[str, str]:
        """The data of a ConfigMap or Secret that was looked for."""
        return self._lookup.data(namespace, resource, name)

    def resize(self, worker: ReportedPod) -> tuple[str, str] | None:
        """Give a pod what it asks for now, if the node has it."""
        self._deferred.pop(worker.uid, None)
        refusal = self._admission.resize(worker.uid, worker.pod)
        if refusal is not None and refusal[0] == "Deferred":
            self._deferred[worker.uid] = None
        return refusal

    def status_changed(self, worker: ReportedPod) -> None:
        """Report the pod's status at the end of this turn."""
        self._statuses.mark(worker.uid)
        if worker.over:
            self._release(worker.uid)

    def worker_ended(self, worker: ReportedPod) -> None:
        """Nothing of the pod runs any more: delete the object, or forget the pod if it is gone."""
        uid = worker.uid
        if uid in self._forgotten:
            self._drop(uid)
        elif worker.failure is None or worker.pod["metadata"].get("deletionTimestamp"):
            self._statuses.finish(uid)


def _ignore(outcome: CRIError | StatusError | object) -> None:
    """The outcome of something that may be repeated and whose failure is seen elsewhere."""
    del outcome
