"""The binding subresource: the scheduler's decision becomes the pod's node.

A pod is bound once. The decision is a guarded write like any other, so of two schedulers that bind
the same pod one gets 409. The path is short because every pod takes it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors, meta
from k8sactors.api.errors import (
    FIELD_VALUE_NOT_SUPPORTED,
    FIELD_VALUE_REQUIRED,
    Cause,
    StatusError,
)
from k8sactors.apiserver import request_body
from k8sactors.apiserver.call import Call, success_status
from k8sactors.apiserver.subresource import CREATED, PostedSubresource
from k8sactors.apiserver.transaction import Stored

Object = dict[str, Any]

BINDING: Final = "pods/binding"
# apiVersion, kind, metadata and target; name, namespace and uid; kind and name.
_FIELDS, _METADATA_FIELDS, _TARGET_FIELDS = 4, 3, 2
_CREATED_STATUS = success_status(CREATED)


class Binding(PostedSubresource):
    """`binding` of pods; a Binding may also be posted to the collection `bindings`."""

    name: ClassVar[str] = "binding"
    collection: ClassVar[str] = "bindings"
    collection_parent: ClassVar[str] = "pods"
    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Binding"

    def decode(self, call: Call, body: Object) -> Object:
        """A Binding as schedulers send it is told by its fields, without the schema."""
        if _is_plain(call, body):
            return body
        return request_body.check_form(call, self.identify(call, body))

    def identify(self, call: Call, body: Object) -> Object:
        """The Binding must name a node."""
        binding = super().identify(call, body)
        target = binding.get("target") or {}
        cause: Cause | None = None
        if not isinstance(target, dict):
            return binding
        kind = target.get("kind") or "Node"
        if kind != "Node":
            text = f'Unsupported value: "{kind}": supported values: "Node"'
            cause = Cause("target.kind", FIELD_VALUE_NOT_SUPPORTED, text)
        elif not target.get("name"):
            cause = Cause("target.name", FIELD_VALUE_REQUIRED, "Required value")
        if cause is not None:
            raise StatusError(
                422,
                "Invalid",
                f'Binding "{call.name}" is invalid: {cause}',
                causes=[cause],
                name=call.name,
                kind="Binding",
            )
        return binding

    def merge(self, call: Call, stored: Stored, given: Object) -> Object:
        """The pod on its node."""
        pod, metadata = stored.obj, given["metadata"]
        _check(call, pod, metadata, stored.mod_revision)
        bound = assigned(pod, given["target"]["name"], call.environment.now())
        if metadata.get("annotations"):
            old = pod["metadata"]
            annotations = {**(old.get("annotations") or {}), **metadata["annotations"]}
            bound["metadata"] = {**old, "annotations": annotations}
        return bound

    def validate(self, call: Call, old: Object, new: Object) -> None:
        """Only annotations can have become invalid."""
        if new["metadata"] is not old["metadata"]:
            super().validate(call, old, new)

    def encode(self, call: Call, new: Object, revision: int, data: bytes) -> bytes:
        """A Status that says Success."""
        del call, new, revision, data
        return _CREATED_STATUS


def _is_plain(call: Call, binding: Object) -> bool:
    """Whether it names its pod and a node as schedulers do, and nothing else."""
    metadata, target = binding.get("metadata"), binding.get("target")
    return (
        type(metadata) is dict
        and type(target) is dict
        and len(binding) == _FIELDS
        and len(metadata) == _METADATA_FIELDS
        and len(target) == _TARGET_FIELDS
        and binding.get("kind") == Binding.kind
        and binding.get("apiVersion") == Binding.api_version
        and metadata.get("name") == call.name
        and metadata.get("namespace") == call.namespace
        and type(metadata.get("uid")) is str
        and target.get("kind") == "Node"
        and type(target.get("name")) is str
        and target["name"] != ""
    )


def assigned(pod: Object, node: str, now: str) -> Object:
    """The pod on its node, with the condition that says so."""
    status = pod.get("status") or {}
    conditions = meta.set_condition(
        status.get("conditions"), {"type": "PodScheduled", "status": "True"}, now
    )
    return {
        **pod,
        "spec": {**pod["spec"], "nodeName": node},
        "status": {**status, "conditions": conditions},
    }


def _check(call: Call, pod: Object, metadata: Object, mod_revision: int) -> None:
    problem = ""
    uid, version = metadata.get("uid"), metadata.get("resourceVersion")
    node = pod["spec"].get("nodeName")
    if uid and uid != pod["metadata"].get("uid"):
        problem = (
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
            f"{pod['metadata'].get('uid')}"
        )
    elif version and version != str(mod_revision):
        problem = (
            f"Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in "
            f"object meta: {mod_revision}"
        )
    elif pod["metadata"].get("deletionTimestamp"):
        problem = f"pod {call.name} is being deleted, cannot be assigned to a host"
    elif node:
        problem = f'pod {call.name} is already assigned to node "{node}"'
    elif pod["spec"].get("schedulingGates"):
        problem = f"pod {call.name} has non-empty .spec.schedulingGates"
    if problem:
        raise errors.conflict(BINDING, call.name, problem)
