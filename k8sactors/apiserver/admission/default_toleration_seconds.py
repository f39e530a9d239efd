"""DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or unreachable.

Source: documentation of admission controllers, "DefaultTolerationSeconds".
"""

from __future__ import annotations

from typing import Any, ClassVar

from k8sactors.apiserver.admission_chain import Attributes, Plugin

TOLERATION_SECONDS = 300
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_ADDED = tuple(
    {
        "key": key,
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": TOLERATION_SECONDS,
    }
    for key in TAINTS
)


class DefaultTolerationSeconds(Plugin):
    """Adds the two tolerations where a pod has none of its own for these taints."""

    order: ClassVar[int] = 150
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    repeatable: ClassVar[bool] = True

    def admit(self, attributes: Attributes) -> None:
        """Add what is missing."""
        obj = attributes.obj
        assert obj is not None
        spec = obj["spec"]
        present = spec.get("tolerations") or ()
        missing = [
            toleration
            for toleration in _ADDED
            if not any(_tolerates(own, toleration["key"]) for own in present)
        ]
        if missing:
            obj["spec"] = {**spec, "tolerations": [*present, *missing]}


def _tolerates(toleration: dict[str, Any], key: Any) -> bool:
    if toleration.get("key") not in {key, None, ""}:
        return False
    return toleration.get("effect") in {"NoExecute", None, ""}
