"""The finalize subresource of namespaces: their controller says that the content is gone."""

from __future__ import annotations

import re
from typing import Any

from k8sactors.api import codec, errors
from k8sactors.api.errors import Cause
from k8sactors.apiserver import object_rules
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.registry import OK, Registry
from k8sactors.apiserver.transaction import Change, Stored, Update

_QUALIFIED = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def finalize(registry: Registry, call: Call) -> None:
    """Replace `spec.finalizers`; the last one gone, a deleted namespace vanishes.

    Raises:
        StatusError: 400 or 422.
    """
    body = object_rules.decode_body(call, registry.config.max_body_bytes)
    object_rules.check_kind(body, call.resource)
    object_rules.check_name(object_rules.metadata_of(body), call)
    finalizers = list((body.get("spec") or {}).get("finalizers") or ())
    _check(call, finalizers)
    metadata = body["metadata"]

    def change(stored: Stored) -> Change:
        old = stored.obj
        object_rules.check_resource_version(
            dict(metadata), stored.mod_revision, call.resource, call.name
        )
        spec: dict[str, Any] = dict(old.get("spec") or {})
        spec.pop("finalizers", None)
        if finalizers:
            spec["finalizers"] = finalizers
        new = {**old, "spec": spec}

        def answer(revision: int, _data: bytes) -> None:
            call.succeed(OK, revision, codec.encode(new))

        held = finalizers or old["metadata"].get("finalizers")
        if old["metadata"].get("deletionTimestamp") and not held:
            return Change(None, answer)
        return Change(new, answer)

    Update(registry, call, call.resource.key("", call.name), change).start()


def _check(call: Call, finalizers: list[Any]) -> None:
    causes = [
        Cause(
            f"spec.finalizers[{index}]",
            "FieldValueInvalid",
            f'Invalid value: "{finalizer}": name is neither a standard finalizer name nor is it '
            "fully qualified",
        )
        for index, finalizer in enumerate(finalizers)
        if finalizer != "kubernetes"
        and not (isinstance(finalizer, str) and _QUALIFIED.fullmatch(finalizer))
    ]
    if causes:
        raise errors.invalid(call.resource.info, call.name, causes)
