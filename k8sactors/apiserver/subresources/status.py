"""The status subresource: what a controller has observed; the specification stays as it is."""

from __future__ import annotations

from typing import Any, ClassVar

from k8sactors.api import decoding
from k8sactors.apiserver import request_body
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.subresource import Subresource
from k8sactors.apiserver.transaction import Stored

Object = dict[str, Any]


class Status(Subresource):
    """`status` of any kind that has one."""

    name: ClassVar[str] = "status"

    def decode(self, call: Call, body: Object) -> Object:
        """Only what a status update stores is looked at: metadata and status."""
        if call.resource.info.schema is not None:
            return super().decode(call, body)
        obj = self.identify(call, body)
        part = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": obj["metadata"]}
        if "status" in obj:
            part["status"] = obj["status"]
        info = call.resource.info
        checked = request_body.check_form(call, part)
        stored = decoding.to_storage(info, {**obj, **checked})
        return {**stored, "metadata": dict(stored["metadata"])}

    def merge(self, call: Call, stored: Stored, given: Object) -> Object:
        """All but status, and metadata that controllers may set, is the stored object's."""
        call.resource.strategy.prepare_for_status_update(given, stored.obj)
        return given
