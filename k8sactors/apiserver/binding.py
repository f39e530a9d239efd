"""The binding subresource: the scheduler's decision becomes the pod's node.

A pod is bound once. The decision is a guarded write like any other, so of two schedulers that bind
the same pod one gets 409. The path is short because every pod takes it.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import codec, errors, meta
from k8sactors.api.errors import Cause
from k8sactors.apiserver.call import Call, success_status
from k8sactors.apiserver.registry import CREATED, Registry
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.transaction import Change, Stored, Update

Object = dict[str, Any]

BINDING = "pods/binding"
_CREATED_STATUS = success_status(CREATED)


def bind_named(registry: Registry, call: Call, pods: Resource) -> None:
    """Serve a Binding that was posted to the collection `bindings`: its name is the pod's.

    Raises:
        StatusError: 400 or 422, the body is no binding of a pod to a node.
    """
    body = codec.decode_value(call.body) if call.body else None
    metadata = body.get("metadata") if isinstance(body, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    call.resource, call.name, call.subresource = pods, name, "binding"
    bind(registry, call)


def bind(registry: Registry, call: Call) -> None:
    """Assign a pod to the node in the body's `target`.

    Raises:
        StatusError: 400 or 422, the body is no binding to a node.
    """
    if call.body is None:
        raise errors.bad_request("the request has no body")
    binding = codec.decode_value(call.body)
    if not isinstance(binding, dict):
        raise errors.bad_request("the body is not a Binding")
    metadata = binding.get("metadata") or {}
    given = metadata.get("name")
    if given and given != call.name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    node = _target(call, binding)
    conditions_time = registry.now()

    def answer(revision: int, _data: bytes) -> None:
        call.succeed(CREATED, revision, _CREATED_STATUS)

    def change(stored: Stored) -> Change:
        pod = stored.obj
        _check(call, pod, metadata, stored.mod_revision)
        bound = assigned(pod, node, conditions_time)
        if metadata.get("annotations"):
            old = pod["metadata"]
            annotations = {**(old.get("annotations") or {}), **metadata["annotations"]}
            bound["metadata"] = {**old, "annotations": annotations}
        return Change(bound, answer)

    Update(registry, call, call.resource.key(call.namespace, call.name), change).start()


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


def _target(call: Call, binding: Object) -> str:
    target = binding.get("target") or {}
    kind = target.get("kind") or "Node"
    cause: Cause | None = None
    if kind != "Node":
        cause = Cause(
            "target.kind",
            "FieldValueNotSupported",
            f'Unsupported value: "{kind}": supported values: "Node"',
        )
    elif not target.get("name"):
        cause = Cause("target.name", "FieldValueRequired", "Required value")
    if cause is not None:
        raise errors.StatusError(
            422,
            "Invalid",
            f'Binding "{call.name}" is invalid: {cause}',
            causes=[cause],
            name=call.name,
            kind="Binding",
        )
    return str(target["name"])


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
