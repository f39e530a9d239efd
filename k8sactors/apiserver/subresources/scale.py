"""The scale subresource: any workload's replica count in one form (autoscaling/v1)."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from k8sactors.api import codec, errors, selectors
from k8sactors.api.errors import FIELD_VALUE_INVALID, Cause
from k8sactors.api.kind import Kind, ResourceInfo, Served
from k8sactors.api.managed_fields import Entries, FieldManager
from k8sactors.api.managed_fields.scale import (
    entries_of_scale,
    entries_of_workload,
)
from k8sactors.apiextensions import custom_scale
from k8sactors.apiserver import object_rules, request_body
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.subresource import Subresource
from k8sactors.apiserver.transaction import Stored

Object = dict[str, Any]

(_SCALE,) = Kind(kind="Scale", plural="scales", served=(Served("autoscaling", "v1"),)).infos()


@cache
def _field_manager() -> FieldManager:
    return FieldManager(_SCALE, "scale")


class Scale(Subresource):
    """`scale` of any kind with `spec.replicas`."""

    name: ClassVar[str] = "scale"
    api_version: ClassVar[str] = "autoscaling/v1"
    kind: ClassVar[str] = "Scale"

    def show(self, info: ResourceInfo, obj: Object, mod_revision: int) -> Object:
        """The Scale that a workload shows.

        Raises:
            StatusError: 500, a custom resource does not say how many replicas it wants.
        """
        metadata = obj["metadata"]
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if info.served.scale is not None:
            spec, status = custom_scale.parts(info.served.scale, obj)
        shown: Object = {
            "kind": self.kind,
            "apiVersion": self.api_version,
            "metadata": {
                field: metadata[field]
                for field in ("name", "namespace", "uid", "creationTimestamp")
                if field in metadata
            },
            "spec": {"replicas": spec["replicas"]} if spec.get("replicas") else {},
            "status": {"replicas": status.get("replicas", 0)},
        }
        shown["metadata"]["resourceVersion"] = str(mod_revision)
        selector = spec.get("selector")
        if isinstance(selector, str):
            shown["status"]["selector"] = selector
        elif selector:
            if not ({"matchLabels", "matchExpressions"} & set(selector)):
                selector = {"matchLabels": selector}
            shown["status"]["selector"] = str(selectors.parse_label_selector(selector))
        return shown

    def decode(self, call: Call, body: Object) -> Object:
        """A Scale; its upper two levels are new."""
        scale = request_body.check_form(call, self.identify(call, body))
        return {**scale, "metadata": dict(scale["metadata"])}

    def identify(self, call: Call, body: Object) -> Object:
        """A Scale has the name and namespace of its workload."""
        request_body.set_kind(body, self.api_version, self.kind)
        metadata = request_body.metadata_of(body)
        object_rules.set_namespace(metadata, call)
        object_rules.check_name(metadata, call)
        return body

    def merge(self, call: Call, stored: Stored, given: Object) -> Object:
        """The workload with the number of replicas of the Scale."""
        old = stored.obj
        replicas = (given.get("spec") or {}).get("replicas") or 0
        _check_replicas(call, replicas)
        new = {
            **old,
            "metadata": dict(old["metadata"]),
            "spec": {**(old.get("spec") or {}), "replicas": replicas},
        }
        paths = call.resource.info.served.scale
        if paths is not None:
            new = {**custom_scale.with_replicas(paths, old, replicas), "metadata": new["metadata"]}
        call.resource.strategy.prepare_for_update(new, old)
        return new

    def field_manager(self, call: Call) -> FieldManager:
        """Scales of all workloads are one kind."""
        del call
        return _field_manager()

    def tracked(self, info: ResourceInfo, obj: Object, mod_revision: int) -> Object:
        """The Scale with the managers of the workload's replicas, which clients are not shown."""
        scale = self.show(info, obj, mod_revision)
        entries = entries_of_scale(info, obj["metadata"].get("managedFields"))
        return {**scale, "metadata": {**scale["metadata"], "managedFields": entries}}

    def entries_of_applied(self, call: Call, old: Object, applied: Object) -> Entries | None:
        """Who manages the replicas of the Scale manages those of the workload."""
        return entries_of_workload(
            call.resource.info,
            old["metadata"].get("managedFields"),
            applied["metadata"].get("managedFields"),
        )

    def encode(self, call: Call, new: Object, revision: int, data: bytes) -> bytes:
        """The Scale of the workload as it was stored."""
        del data
        return codec.encode(self.show(call.resource.info, new, revision))


def _check_replicas(call: Call, replicas: int) -> None:
    if replicas >= 0:
        return
    text = f"Invalid value: {replicas}: must be greater than or equal to 0"
    cause = Cause("spec.replicas", FIELD_VALUE_INVALID, text)
    raise errors.StatusError(
        422,
        "Invalid",
        f'Scale.autoscaling "{call.name}" is invalid: {cause}',
        causes=[cause],
        name=call.name,
        group="autoscaling",
        kind=Scale.kind,
    )
