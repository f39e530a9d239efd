"""RuntimeClass: the overhead and the place of a pod follow from its RuntimeClass.

Source: documentation of admission controllers, "RuntimeClass", KEP-688 (pod overhead) and KEP-894
(scheduling).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors, quantity
from k8sactors.apiserver.admission_chain import Attributes, Plugin

Object = dict[str, Any]

CLASSES: Final = "runtimeclasses.node.k8s.io"


class RuntimeClass(Plugin):
    """Fills in `overhead`, `nodeSelector` and `tolerations`."""

    order: ClassVar[int] = 230
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    repeatable: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = (CLASSES,)

    def admit(self, attributes: Attributes) -> None:
        """403 for a class that does not exist, or what contradicts it."""
        obj = attributes.obj
        assert obj is not None
        spec = obj["spec"]
        if not spec.get("runtimeClassName"):
            return
        found = self._find(attributes, spec)
        changed: Object = {}
        fixed = (found.get("overhead") or {}).get("podFixed")
        if fixed:
            given = spec.get("overhead")
            if given and not _equal(given, fixed):
                self._refuse(
                    attributes,
                    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
                )
            changed["overhead"] = fixed
        scheduling = found.get("scheduling")
        if scheduling:
            selector = dict(scheduling.get("nodeSelector") or {})
            for key, value in (spec.get("nodeSelector") or {}).items():
                if selector.get(key, value) != value:
                    self._refuse(
                        attributes,
                        "conflict: runtimeClass.scheduling.nodeSelector"
                        f"[{key}] = {selector[key]}; pod.spec.nodeSelector[{key}] = {value}",
                    )
                selector[key] = value
            if selector:
                changed["nodeSelector"] = selector
            tolerations = list(spec.get("tolerations") or ())
            for toleration in scheduling.get("tolerations") or ():
                if toleration not in tolerations:
                    tolerations.append(toleration)
            if tolerations:
                changed["tolerations"] = tolerations
        if changed:
            obj["spec"] = {**spec, **changed}

    def validate(self, attributes: Attributes) -> None:
        """403 for an overhead that is not that of the class."""
        obj = attributes.obj
        assert obj is not None
        spec = obj["spec"]
        given = spec.get("overhead")
        if not given:
            return
        if not spec.get("runtimeClassName"):
            self._refuse(
                attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass"
            )
        fixed = (self._find(attributes, spec).get("overhead") or {}).get("podFixed")
        if not fixed or not _equal(given, fixed):
            self._refuse(
                attributes,
                "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
                if fixed
                else "pod rejected: Pod Overhead set without corresponding RuntimeClass defined "
                "Overhead",
            )

    def _find(self, attributes: Attributes, spec: Object) -> Object:
        name = spec["runtimeClassName"]
        found = self.cluster.get(attributes, CLASSES, None, name)
        if found is None:
            self._refuse(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        assert found is not None
        return found

    @staticmethod
    def _refuse(attributes: Attributes, text: str) -> None:
        raise errors.forbidden(attributes.info, attributes.name, text)


def _equal(one: Object, other: Object) -> bool:
    return set(one) == set(other) and all(
        quantity.parse(one[name]) == quantity.parse(other[name]) for name in one
    )
