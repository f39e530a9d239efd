"""Attach/detach controller: one VolumeAttachment for each volume and node with pods that use it.

A key is `node/volume`. A volume is detached once no pod of its node uses it and the kubelet can
have unmounted it: a node that is not ready is given six minutes, unless its operator says with the
taint `node.kubernetes.io/out-of-service` that it is down (KEP-2268).
"""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.api import pod_references
from k8sactors.api.attachments import (
    RESOURCE,
    attachment_name,
    is_made_here,
    needs_attachment,
    unique_name,
)
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import condition_is
from k8sactors.api.persistent_volumes import CLAIMS, VOLUMES, claim_key, is_fully_bound
from k8sactors.client import is_already_exists, is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.pods import is_finished
from k8sactors.controllers.machinery.taints import taints_of
from k8sactors.simulation import SECOND

OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
_EXCLUSIVE: Final = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})
_CLAIM_INDEX: Final = "claims of a scheduled pod"
_VOLUME_INDEX: Final = "volume"
_NODE_INDEX: Final = "node"
_CLAIM_OF_VOLUME_INDEX: Final = "claim of a volume"


@attrs.frozen
class AttachDetachOptions(ControllerOptions):
    """How long a volume stays attached to a node whose kubelet cannot unmount it."""

    attach_detach_max_wait_for_unmount_ns: int = 360 * SECOND


def _claims_of(pod: Object) -> list[str]:
    if not pod["spec"].get("nodeName") or not pod["spec"].get("volumes"):
        return []
    namespace = pod["metadata"]["namespace"]
    return [f"{namespace}/{name}" for name in pod_references.claims(pod)]


def _volume_of(attachment: Object) -> str:
    return str(attachment["spec"]["source"].get("persistentVolumeName") or "")


def _key(attachment: Object) -> str:
    return f"{attachment['spec']['nodeName']}/{_volume_of(attachment)}"


class AttachDetachController(Controller):
    """Creates and deletes VolumeAttachments; the driver's attacher acts on them."""

    name = "persistentvolume-attach-detach-controller"
    aliases = ("attachdetach",)
    component = "attachdetach-controller"
    service_account = "attachdetach-controller"
    options_type = AttachDetachOptions
    options: AttachDetachOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._claims = self.informer(CLAIMS)
        self._claims.add_handler(
            on_add=self._claim_bound, on_update=lambda _old, new: self._claim_bound(new)
        )
        self._volumes = self.informer(VOLUMES)
        self._volumes.add_index(_CLAIM_OF_VOLUME_INDEX, claim_key)
        self._volumes.add_handler(
            on_add=self._volume_bound, on_update=lambda _old, new: self._volume_bound(new)
        )
        self._nodes = self.informer("nodes")
        self._nodes.add_handler(on_update=self._node_updated, on_delete=self._node_deleted)
        self._drivers = self.informer("csidrivers.storage.k8s.io")
        self._pods = self.informer("pods")
        self._pods.add_index(_CLAIM_INDEX, _claims_of)
        self._pods.add_handler(
            on_add=self._pod_changed, on_update=self._pod_updated, on_delete=self._pod_changed
        )
        self._attachments = self.informer(RESOURCE)
        self._attachments.add_index(_VOLUME_INDEX, _volume_of)
        self._attachments.add_index(_NODE_INDEX, lambda each: str(each["spec"]["nodeName"]))
        self._attachments.add_handler(
            on_add=self._attachment_changed,
            on_update=self._attachment_updated,
            on_delete=self._attachment_deleted,
        )
        self._unused_since_ns: dict[str, int] = {}

    # --- events

    def _pod_changed(self, pod: Object) -> None:
        for claim in _claims_of(pod):
            for volume in self._volumes.by_index(_CLAIM_OF_VOLUME_INDEX, claim):
                self.queue.add(f"{pod['spec']['nodeName']}/{volume['metadata']['name']}")

    def _pod_updated(self, old: Object, pod: Object) -> None:
        was_bound = old["spec"].get("nodeName") == pod["spec"].get("nodeName")
        if not was_bound or is_finished(old) != is_finished(pod):
            self._pod_changed(pod)

    def _claim_bound(self, claim: Object) -> None:
        metadata = claim["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}"
        for pod in self._pods.by_index(_CLAIM_INDEX, key):
            self._pod_changed(pod)

    def _volume_bound(self, volume: Object) -> None:
        # After a start the pods may have come before the volumes that they use.
        for pod in self._pods.by_index(_CLAIM_INDEX, claim_key(volume) or ""):
            self._pod_changed(pod)

    def _node_updated(self, old: Object, node: Object) -> None:
        ready = condition_is(old, "Ready"), condition_is(node, "Ready")
        if ready[0] != ready[1] or taints_of(old) != taints_of(node):
            self._node_deleted(node)

    def _node_deleted(self, node: Object) -> None:
        for attachment in self._attachments.by_index(_NODE_INDEX, node["metadata"]["name"]):
            self.queue.add(_key(attachment))

    def _attachment_changed(self, attachment: Object) -> None:
        self.queue.add(_key(attachment))

    def _attachment_updated(self, old: Object, attachment: Object) -> None:
        self._attachment_changed(attachment)
        if _is_attached(attachment) and not _is_attached(old):
            name = _volume_of(attachment)
            message = f'AttachVolume.Attach succeeded for volume "{name}" '
            for pod in self._users(attachment["spec"]["nodeName"], name):
                self.recorder.event(pod, "Normal", "SuccessfulAttachVolume", message)

    def _attachment_deleted(self, attachment: Object) -> None:
        """A pod on another node may have waited for this."""
        self._attachment_changed(attachment)
        volume = self._volumes.lister.get(None, _volume_of(attachment))
        if volume is not None:
            self._volume_bound(volume)

    # --- what there is

    def _users(self, node: str, volume_name: str) -> list[Object]:
        """The pods on a node that use a volume; one that is being deleted still does."""
        volume = self._volumes.lister.get(None, volume_name)
        key = claim_key(volume) if volume is not None else None
        claim = self._claims.lister.get_by_key(key) if key is not None else None
        if claim is None or not is_fully_bound(claim, volume):
            return []
        return [
            pod
            for pod in self._pods.by_index(_CLAIM_INDEX, key or "")
            if pod["spec"]["nodeName"] == node and not is_finished(pod)
        ]

    async def reconcile(self, key: str) -> None:
        """Attach or detach one volume at one node."""
        node, _, name = key.partition("/")
        attachment = next(
            (each for each in self._attachments.by_index(_VOLUME_INDEX, name) if _key(each) == key),
            None,
        )
        if attachment is not None and not is_made_here(attachment):
            return  # a client's own
        users = self._users(node, name)
        if users:
            self._unused_since_ns.pop(key, None)
            if attachment is None:
                await self._attach(node, name, users)
        elif attachment is None:
            self._unused_since_ns.pop(key, None)
        elif "deletionTimestamp" not in attachment["metadata"]:
            await self._detach(key, node, attachment)
        await self._report(node)

    # --- attaching

    async def _attach(self, node: str, name: str, users: list[Object]) -> None:
        volume = self._volumes.lister.get(None, name)
        assert volume is not None, "it has users"
        driver = self._drivers.lister.get(None, (volume["spec"].get("csi") or {}).get("driver", ""))
        if not needs_attachment(volume, driver) or self._nodes.lister.get(None, node) is None:
            return
        others = self._attachments.by_index(_VOLUME_INDEX, name)
        if others and set(volume["spec"]["accessModes"]) <= _EXCLUSIVE:
            message = (
                f'Multi-Attach error for volume "{name}" Volume is already exclusively attached '
                "to one node and can't be attached to another"
            )
            for pod in users:
                self.recorder.event(pod, "Warning", "FailedAttachVolume", message)
            return  # its detachment brings the key back
        body = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "VolumeAttachment",
            "metadata": {"name": attachment_name(volume, node)},
            "spec": {
                "attacher": volume["spec"]["csi"]["driver"],
                "nodeName": node,
                "source": {"persistentVolumeName": name},
            },
        }
        try:
            await self.client.create(RESOURCE, body)
        except StatusError as error:
            if not is_already_exists(error):
                raise

    # --- detaching

    async def _detach(self, key: str, node_name: str, attachment: Object) -> None:
        wait_ns = self._wait_for_unmount_ns(key, self._nodes.lister.get(None, node_name))
        if wait_ns > 0:
            self.queue.add_after(key, wait_ns)
            return
        try:
            await self.client.delete(RESOURCE, attachment["metadata"]["name"])
        except StatusError as error:
            if not is_not_found(error):
                raise

    def _wait_for_unmount_ns(self, key: str, node: Object | None) -> int:
        """How long the volume must stay, because the node may have it mounted; 0 to detach now.

        The kubelet of a ready node lets the object of a pod go only when its volumes are unmounted.
        """
        if node is None or condition_is(node, "Ready"):
            return 0
        if any(taint["key"] == OUT_OF_SERVICE for taint in taints_of(node)):
            return 0
        now_ns = self.ctx.now_ns()
        since_ns = self._unused_since_ns.setdefault(key, now_ns)
        return since_ns + self.options.attach_detach_max_wait_for_unmount_ns - now_ns

    # --- the node's status

    async def _report(self, node_name: str) -> None:
        """Write which volumes are attached, which schedulers count and kubelets wait for."""
        node = self._nodes.lister.get(None, node_name)
        if node is None:
            return
        attached = []
        for attachment in self._attachments.by_index(_NODE_INDEX, node_name):
            volume = self._volumes.lister.get(None, _volume_of(attachment))
            if volume is not None and _is_attached(attachment):
                attached.append({"name": unique_name(volume), "devicePath": ""})
        attached.sort(key=lambda each: each["name"])
        if attached != ((node.get("status") or {}).get("volumesAttached") or []):
            patch = {"status": {"volumesAttached": attached or None}}
            await self.client.patch("nodes", node_name, patch, subresource="status")


def _is_attached(attachment: Object) -> bool:
    return bool((attachment.get("status") or {}).get("attached"))
