"""What becomes of a volume whose claim is gone: `persistentVolumeReclaimPolicy`.

Retain leaves it Released. Delete is the work of the provisioner that made it; the controller itself
can delete only directories below /tmp. Recycle is deprecated; no volume has a recycler here.
"""

from __future__ import annotations

import re
from typing import Any, Final

from k8sactors.api.errors import StatusError
from k8sactors.api.persistent_volumes import PROVISIONED_BY, VOLUMES, annotations_of
from k8sactors.client import Client, is_not_found
from k8sactors.controllers.persistentvolume_binder.binding import Binding

Object = dict[str, Any]
_IN_TREE: Final = "kubernetes.io/"
_DELETABLE_PATH: Final = re.compile(r"/tmp/.+")  # noqa: S108 the rule of the real deleter


async def reclaim(client: Client, binding: Binding, volume: Object) -> None:
    """Carry out the policy of a released volume."""
    policy = volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain"
    if policy == "Recycle":
        message = "No recycler plugin found for the volume!"
        await binding.fail_volume(volume, "VolumeFailedRecycle", message)
    elif policy == "Delete":
        await _delete(client, binding, volume)


async def _delete(client: Client, binding: Binding, volume: Object) -> None:
    name = volume["metadata"]["name"]
    provisioner = annotations_of(volume).get(PROVISIONED_BY)
    if provisioner is not None and not provisioner.startswith(_IN_TREE):
        return  # its provisioner sees that the volume is released
    path = (volume["spec"].get("hostPath") or {}).get("path")
    if path is None:
        message = (
            f'Error getting deleter volume plugin for volume "{name}": '
            "no deletable volume plugin matched"
        )
        await binding.fail_volume(volume, "VolumeFailedDelete", message)
    elif _DELETABLE_PATH.fullmatch(path) is None:
        message = f"host_path deleter only supports /tmp/.+ but received provided {path}"
        await binding.fail_volume(volume, "VolumeFailedDelete", message)
    elif "deletionTimestamp" not in volume["metadata"]:
        try:
            await client.delete(VOLUMES, name)
        except StatusError as error:
            if not is_not_found(error):
                raise
