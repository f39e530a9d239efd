"""PodTolerationRestriction: pods tolerate what their namespace tolerates, and nothing else.

Source: documentation of admission controllers, "PodTolerationRestriction". Annotations of the
namespace, or else the configuration of the server, give defaults and a whitelist.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from k8sactors.api import errors
from k8sactors.api.defaulting.pod import qos_class
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin

Object = dict[str, Any]

DEFAULTS: Final = "scheduler.alpha.kubernetes.io/defaultTolerations"
WHITELIST: Final = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
_MEMORY_PRESSURE: Final = {
    "key": "node.kubernetes.io/memory-pressure",
    "operator": "Exists",
    "effect": "NoSchedule",
}


class PodTolerationRestriction(Plugin):
    """Merges and checks `tolerations`."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 160
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")

    def admit(self, attributes: Attributes) -> None:
        """403 when the pod's own tolerations contradict those of the namespace."""
        obj = attributes.obj
        assert obj is not None
        given = list(obj["spec"].get("tolerations") or ())
        merged = given
        if attributes.operation == "CREATE":
            defaults = self._tolerations(attributes, DEFAULTS, "default")
            if defaults:
                if any(_contradicts(one, other) for one in defaults for other in given):
                    raise errors.forbidden(
                        attributes.info,
                        attributes.name,
                        "namespace tolerations and pod tolerations conflict",
                    )
                merged = _merged(defaults, given)
        if _needs_memory(obj) and _MEMORY_PRESSURE not in merged:
            merged = [*merged, _MEMORY_PRESSURE]
        if merged != given:
            obj["spec"] = {**obj["spec"], "tolerations": merged}

    def validate(self, attributes: Attributes) -> None:
        """403 for a toleration that is not in the whitelist."""
        obj = attributes.obj
        assert obj is not None
        allowed = self._tolerations(attributes, WHITELIST, "whitelist")
        if not allowed:
            return
        for toleration in obj["spec"].get("tolerations") or ():
            if not any(_covers(one, toleration) for one in allowed):
                raise errors.forbidden(
                    attributes.info,
                    attributes.name,
                    "pod tolerations (possibly merged with namespace default tolerations) "
                    "conflict with its namespace whitelist",
                )

    def _tolerations(self, attributes: Attributes, annotation: str, field: str) -> list[Object]:
        namespace = self.cluster.get(attributes, "namespaces", None, attributes.namespace) or {}
        text = ((namespace.get("metadata") or {}).get("annotations") or {}).get(annotation)
        if text is None:
            return self.configuration().get(field) or []
        try:
            found = json.loads(text or "[]")
        except ValueError as error:
            raise errors.internal_error(
                f"annotation {annotation} of namespace {attributes.namespace}: {error}"
            ) from error
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _needs_memory(pod: Object) -> bool:
    return qos_class(pod) != "BestEffort"


def _same_taint(one: Object, other: Object) -> bool:
    return all((one.get(field) or "") == (other.get(field) or "") for field in ("key", "effect"))


def _contradicts(one: Object, other: Object) -> bool:
    return _same_taint(one, other) and not (_covers(one, other) or _covers(other, one))


def _covers(one: Object, other: Object) -> bool:
    """Whether every taint that `other` tolerates is tolerated by `one`."""
    if (one.get("key") or "") not in {"", other.get("key") or ""}:
        return False
    if (one.get("effect") or "") not in {"", other.get("effect") or ""}:
        return False
    if one.get("effect") == "NoExecute":
        limit, asked = one.get("tolerationSeconds"), other.get("tolerationSeconds")
        if limit is not None and (asked is None or asked > limit):
            return False
    if (one.get("operator") or "Equal") == "Exists":
        return True
    return (other.get("operator") or "Equal") == "Equal" and (one.get("value") or "") == (
        other.get("value") or ""
    )


def _merged(first: list[Object], second: list[Object]) -> list[Object]:
    """Both lists without those that another one covers."""
    found = [*first, *second]
    return [
        one
        for index, one in enumerate(found)
        if not any(
            _covers(other, one) and (not _covers(one, other) or place < index)
            for place, other in enumerate(found)
            if place != index
        )
    ]
