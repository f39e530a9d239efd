"""The finalize subresource of namespaces: their controller says that the content is gone."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from k8sactors.api import errors
from k8sactors.api.errors import FIELD_VALUE_INVALID, Cause
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.subresource import Subresource
from k8sactors.apiserver.transaction import Stored

Object = dict[str, Any]

_QUALIFIED = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


class Finalize(Subresource):
    """`finalize`: replaces `spec.finalizers`; the last one gone, a deleted object vanishes."""

    name: ClassVar[str] = "finalize"
    verbs: ClassVar[tuple[str, ...]] = ("update",)

    def merge(self, call: Call, stored: Stored, given: Object) -> Object:
        """The stored object with the finalizers that are left."""
        finalizers = (given.get("spec") or {}).get("finalizers") or []
        _check(call, finalizers)
        old = stored.obj
        spec: Object = dict(old.get("spec") or {})
        spec.pop("finalizers", None)
        if finalizers:
            spec["finalizers"] = finalizers
        return {**old, "spec": spec}


def _check(call: Call, finalizers: list[str]) -> None:
    causes = [
        Cause(
            f"spec.finalizers[{index}]",
            FIELD_VALUE_INVALID,
            f'Invalid value: "{finalizer}": name is neither a standard finalizer name nor is it '
            "fully qualified",
        )
        for index, finalizer in enumerate(finalizers)
        if finalizer != "kubernetes" and not _QUALIFIED.fullmatch(finalizer)
    ]
    if causes:
        raise errors.invalid(call.resource.info, call.name, causes)
