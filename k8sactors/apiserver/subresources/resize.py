"""The resize subresource of pods: other resources for containers that run."""

from __future__ import annotations

from typing import Any, ClassVar

from k8sactors.api import errors
from k8sactors.api.validation.pod_parts import check_resize
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.subresource import Subresource
from k8sactors.apiserver.transaction import Stored

Object = dict[str, Any]


class Resize(Subresource):
    """`resize`: cpu and memory may change, and nothing else (KEP-1287)."""

    name: ClassVar[str] = "resize"

    def merge(self, call: Call, stored: Stored, given: Object) -> Object:
        """The stored pod with the specification that is given."""
        old = stored.obj
        spec = given.get("spec") or old["spec"]
        new = {**old, "metadata": dict(old["metadata"]), "spec": spec}
        call.resource.strategy.prepare_for_update(new, old)
        return new

    def validate(self, call: Call, old: Object, new: Object) -> None:
        """The rules of this part alone: the rest is the stored object's."""
        causes: list[errors.Cause] = []
        check_resize(old, new, causes)
        if causes:
            raise errors.invalid(call.resource.info, old["metadata"]["name"], causes)
