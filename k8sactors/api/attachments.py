"""VolumeAttachments: which volumes have to be attached to a node, and under which name.

Source: the CSI volume plugin of Kubernetes, by which the attach/detach controller and kubelets
agree on a name without asking each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, Any]
RESOURCE = "volumeattachments.storage.k8s.io"
_PREFIX = "csi-"


def attachment_name(volume: Fields, node: str) -> str:
    """The name of the attachment of a CSI volume to a node."""
    csi = volume["spec"]["csi"]
    text = f"{csi['volumeHandle']}{csi['driver']}{node}"
    return f"{_PREFIX}{hashlib.sha256(text.encode()).hexdigest()}"


def is_made_here(attachment: Fields) -> bool:
    """Whether the attach/detach controller has made an attachment, and not a client."""
    return str(attachment["metadata"]["name"]).startswith(_PREFIX)


def needs_attachment(volume: Fields, driver: Fields | None) -> bool:
    """Whether the volume is a CSI volume whose driver (a CSIDriver, if there is one) attaches."""
    if volume["spec"].get("csi") is None:
        return False
    return driver is None or bool(driver["spec"].get("attachRequired", True))


def unique_name(volume: Fields) -> str:
    """The name in a node's `status.volumesAttached`."""
    csi = volume["spec"]["csi"]
    return f"kubernetes.io/csi/{csi['driver']}^{csi['volumeHandle']}"
