"""Certificate signing requests: their names, and what was decided about them.

What needs cryptography is in `certificates`, which is loaded when the first request comes.
"""

from __future__ import annotations

from typing import Any, Final

Object = dict[str, Any]
REQUESTS: Final = "certificatesigningrequests.certificates.k8s.io"
CLIENT: Final = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT: Final = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING: Final = "kubernetes.io/kubelet-serving"
LEGACY: Final = "kubernetes.io/legacy-unknown"


def condition_types(request: Object) -> set[str]:
    """The types of the conditions: Approved, Denied, Failed."""
    return {each["type"] for each in (request.get("status") or {}).get("conditions") or ()}
