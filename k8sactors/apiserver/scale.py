"""The scale subresource: any workload's replica count in one form (autoscaling/v1)."""

from __future__ import annotations

from typing import Any

from k8sactors.api import codec, errors, selectors
from k8sactors.api.errors import Cause
from k8sactors.apiserver import object_rules
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.registry import OK, Registry, patch_function
from k8sactors.apiserver.transaction import Change, Stored, Update

Object = dict[str, Any]

API_VERSION = "autoscaling/v1"


def scale_of(workload: Object, mod_revision: int) -> Object:
    """The Scale that a workload shows."""
    metadata = workload["metadata"]
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    shown: Object = {
        "kind": "Scale",
        "apiVersion": API_VERSION,
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
    if selector:
        if not ({"matchLabels", "matchExpressions"} & set(selector)):
            selector = {"matchLabels": selector}
        shown["status"]["selector"] = str(selectors.parse_label_selector(selector))
    return shown


def get_scale(registry: Registry, call: Call) -> None:
    """Answer with the Scale of a workload."""
    key = call.resource.key(call.namespace, call.name)

    def found(state: Any, _revision: int) -> None:
        if state is None:
            call.fail(errors.not_found(call.resource.info, call.name))
            return
        shown = scale_of(codec.decode(state.value, 0), state.mod_revision)
        call.succeed(OK, state.mod_revision, codec.encode(shown))

    registry.store.read(key, found, call.fail_store)


def set_scale(registry: Registry, call: Call) -> None:
    """Update or patch the Scale of a workload.

    Raises:
        StatusError: 400, the body is no Scale.
    """
    if call.verb == "patch":
        apply = patch_function(call)
    else:
        body = object_rules.decode_body(call, registry.config.max_body_bytes)
        if body.get("kind", "Scale") != "Scale":
            raise errors.bad_request(
                f'{body.get("kind")} in version "{body.get("apiVersion")}" cannot be handled as '
                "a Scale"
            )

        def apply(_shown: Object) -> Object:
            return body

    resource = call.resource

    def change(stored: Stored) -> Change:
        old = stored.obj
        wanted = apply(scale_of(old, stored.mod_revision))
        metadata = dict(wanted.get("metadata") or {})
        if metadata.get("resourceVersion") in object_rules.UNSET_VERSIONS:
            metadata["resourceVersion"] = str(stored.mod_revision)
        object_rules.check_resource_version(metadata, stored.mod_revision, resource, call.name)
        replicas = (wanted.get("spec") or {}).get("replicas") or 0
        _check_replicas(call, replicas)
        new = {
            **old,
            "metadata": dict(old["metadata"]),
            "spec": {**(old.get("spec") or {}), "replicas": replicas},
        }
        resource.strategy.prepare_for_update(new, old)

        def answer(revision: int, _data: bytes) -> None:
            call.succeed(OK, revision, codec.encode(scale_of(new, revision)))

        return Change(new, answer)

    Update(registry, call, resource.key(call.namespace, call.name), change).start()


def _check_replicas(call: Call, replicas: Any) -> None:
    if isinstance(replicas, int) and replicas >= 0:
        return
    cause = Cause(
        "spec.replicas",
        "FieldValueInvalid",
        f"Invalid value: {replicas}: must be greater than or equal to 0",
    )
    raise errors.StatusError(
        422,
        "Invalid",
        f'Scale.autoscaling "{call.name}" is invalid: {cause}',
        causes=[cause],
        name=call.name,
        group="autoscaling",
        kind="Scale",
    )
