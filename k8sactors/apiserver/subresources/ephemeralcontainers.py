"""The ephemeralcontainers subresource of pods: containers for debugging, added while it runs."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors
from k8sactors.api.validation.pod_parts import check_ephemeral_containers
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.subresource import Subresource
from k8sactors.apiserver.transaction import Stored

Object = dict[str, Any]

MIRROR: Final = "kubernetes.io/config.mirror"


class EphemeralContainers(Subresource):
    """`ephemeralcontainers`: more may be added, and those that are there stay (KEP-277)."""

    name: ClassVar[str] = "ephemeralcontainers"

    def merge(self, call: Call, stored: Stored, given: Object) -> Object:
        """The stored pod with the ephemeral containers that are given."""
        old = stored.obj
        if MIRROR in (old["metadata"].get("annotations") or {}):
            raise errors.bad_request("static pods do not support ephemeral containers")
        spec = dict(old["spec"])
        containers = (given.get("spec") or {}).get("ephemeralContainers")
        spec.pop("ephemeralContainers", None)
        if containers:
            spec["ephemeralContainers"] = containers
        new = {**old, "metadata": dict(old["metadata"]), "spec": spec}
        call.resource.strategy.prepare_for_update(new, old)
        return new

    def validate(self, call: Call, old: Object, new: Object) -> None:
        """The rules of this part alone: the rest is the stored object's."""
        causes: list[errors.Cause] = []
        check_ephemeral_containers(old, new, causes)
        if causes:
            raise errors.invalid(call.resource.info, old["metadata"]["name"], causes)
