"""ExtendedResourceToleration: pods that ask for special hardware tolerate the taints of its nodes.

Source: documentation of admission controllers, "ExtendedResourceToleration".
"""

from __future__ import annotations

from typing import ClassVar

from k8sactors.api.pod_references import containers
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin


class ExtendedResourceToleration(Plugin):
    """Adds a toleration for each extended resource."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 180
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")
    repeatable: ClassVar[bool] = True

    def admit(self, attributes: Attributes) -> None:
        """Add what is missing."""
        obj = attributes.obj
        assert obj is not None
        spec = obj["spec"]
        asked: dict[str, None] = {}
        for container in containers(spec):
            requests = (container.get("resources") or {}).get("requests") or {}
            asked.update(dict.fromkeys(name for name in requests if _is_extended(name)))
        present = list(spec.get("tolerations") or ())
        added = [{"key": name, "operator": "Exists"} for name in sorted(asked)]
        missing = [
            each
            for each in added
            if not any(
                own.get("key") == each["key"] and own.get("operator") == "Exists" for own in present
            )
        ]
        if missing:
            obj["spec"] = {**spec, "tolerations": [*present, *missing]}


def _is_extended(name: str) -> bool:
    """A name with a domain that is not Kubernetes' own."""
    domain, slash, _ = name.partition("/")
    return bool(slash) and domain != "kubernetes.io" and not name.startswith("requests.")
