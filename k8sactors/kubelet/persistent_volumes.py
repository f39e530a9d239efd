"""Claims among the volumes of a pod: mounted once they are bound and, where it must be, attached.

The kubelet does not attach: it waits until the attach/detach controller and the driver have
(`VolumeAttachment.status.attached`), for two minutes at a time, as the real kubelet does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from k8sactors.api import pod_references
from k8sactors.api.attachments import RESOURCE, attachment_name, needs_attachment
from k8sactors.api.errors import StatusError
from k8sactors.client import Client, is_not_found
from k8sactors.kubelet import pod_spec
from k8sactors.kubelet.volumes import VolumeManager
from k8sactors.simulation import SECOND, Clock

POLL_NS = SECOND
# podAttachAndMountTimeout of the real kubelet.
TIMEOUT_NS = 123 * SECOND

Object = dict[str, Any]
Done = Callable[[str], None]


class PersistentVolumes:
    """Mounts the claims of pods after the volumes that `others` mounts.

    Args:
        client: the kubelet's client.
        clock: the kubelet's clock.
        node_name: where volumes must be attached.
        others: mounts everything that is not a claim.
    """

    def __init__(self, client: Client, clock: Clock, node_name: str, others: VolumeManager) -> None:
        self._client = client
        self._clock = clock
        self._node_name = node_name
        self._others = others

    def mount(self, pod: pod_spec.Pod, on_done: Done) -> None:
        """Mount the other volumes, then each claim in turn."""
        claims = list(pod_references.claims(pod))
        if not claims:
            self._others.mount(pod, on_done)
            return

        def others_mounted(problem: str) -> None:
            if problem:
                on_done(problem)
            else:
                _Mount(self._client, self._clock, self._node_name, pod, claims, on_done).next()

        self._others.mount(pod, others_mounted)


@attrs.define
class _Mount:
    """One attempt to mount the claims of one pod."""

    client: Client
    clock: Clock
    node_name: str
    pod: pod_spec.Pod
    claims: list[str]
    on_done: Done
    waited_ns: int = 0

    def next(self) -> None:
        """Look at the next claim; without one the pod has all its volumes."""
        if not self.claims:
            self.on_done("")
            return
        namespace = self.pod["metadata"]["namespace"]
        self._get("persistentvolumeclaims", self.claims[0], self._claim_found, namespace)

    def _get(
        self, resource: str, name: str, found: Callable[[Object], None], namespace: str = ""
    ) -> None:
        self.client.submit(
            "get",
            resource,
            namespace=namespace or None,
            name=name,
            on_done=found,
            on_error=partial(self._failed, resource, name),
        )

    def _failed(self, resource: str, name: str, error: StatusError) -> None:
        if is_not_found(error) and resource == RESOURCE:
            self._wait()
        else:
            self._give_up(f"failed to fetch {resource} {name}: {error.message}")

    def _give_up(self, problem: str) -> None:
        self.on_done(f'MountVolume.SetUp failed for claim "{self.claims[0]}" : {problem}')

    def _claim_found(self, claim: Object) -> None:
        if (claim.get("status") or {}).get("phase") != "Bound":
            self._give_up("PVC is not bound")
            return
        found = partial(self._volume_found, claim["metadata"]["uid"])
        self._get("persistentvolumes", claim["spec"]["volumeName"], found)

    def _volume_found(self, claim_uid: str, volume: Object) -> None:
        if (volume["spec"].get("claimRef") or {}).get("uid") != claim_uid:
            self._give_up("the volume is bound to another claim")
        elif not needs_attachment(volume, None):
            self._mounted()
        else:
            driver = volume["spec"]["csi"]["driver"]
            self.client.submit(
                "get",
                "csidrivers.storage.k8s.io",
                name=driver,
                on_done=partial(self._driver_known, volume),
                on_error=lambda _error: self._driver_known(volume, None),
            )

    def _driver_known(self, volume: Object, driver: Object | None) -> None:
        if needs_attachment(volume, driver):
            self._get(RESOURCE, attachment_name(volume, self.node_name), self._attachment_found)
        else:
            self._mounted()

    def _attachment_found(self, attachment: Object) -> None:
        attached = (attachment.get("status") or {}).get("attached")
        if attached and "deletionTimestamp" not in attachment["metadata"]:
            self._mounted()
        else:
            self._wait()

    def _wait(self) -> None:
        if self.waited_ns >= TIMEOUT_NS:
            self.on_done(
                "Unable to attach or mount volumes: unmounted "
                f"volumes=[{' '.join(self.claims)}]: timed out waiting for the condition"
            )
            return
        self.waited_ns += POLL_NS
        self.clock.after(POLL_NS, self.next)

    def _mounted(self) -> None:
        self.claims = self.claims[1:]
        self.next()
