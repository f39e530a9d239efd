"""`metadata.managedFields` of the objects that are written: who has set what (docs/decisions/0022).

A request that names its manager, as every request from outside does, is tracked from the creation
of an object on. Components inside the process do not name one: what they create has no
managedFields, and an object without managedFields is not tracked until it is applied to, as in the
real server. Objects that are tracked already are tracked for all.
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api import decoding
from k8sactors.api.managed_fields import Entries
from k8sactors.api.managed_fields.managers import differ_in_times_only
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.request_body import APPLY

Object = dict[str, Any]

_NODE: Final = "system:node:"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_CONTROLLERS: Final = "system:serviceaccount:kube-system:"
_SYSTEM: Final = "system:"


def entries_of_new(call: Call, obj: Object, manager: str) -> Entries:
    """The entries of an object that is created, given in the form in which it is stored."""
    resource = call.resource
    shown = decoding.from_storage(resource.info, obj)
    return resource.field_manager("").created(shown, manager, call.environment.now())


def signature_of_tracked(metadata: Object, signature: bytes) -> bytes:
    """The signature of an object whose creator is tracked: to have a generated name is a field."""
    return (b"generated:" if metadata.get("generateName") else b"named:") + signature


def entries_of_equal(call: Call, fields: Object, manager: str) -> Entries:
    """The entries of an object whose equal's creator has had these fields."""
    return call.resource.field_manager("").entries_of(fields, manager, call.environment.now())


def is_apply(call: Call) -> bool:
    """Whether a call applies a configuration: then the entries are known before it is stored."""
    return call.verb == "patch" and call.options.get("patchType") == APPLY


def entries_of_changed(call: Call, old: Object, new: Object) -> Entries | None:
    """The entries of an object after an update; both are in the form in which they are stored."""
    info = call.resource.info
    return call.resource.field_manager(call.subresource).updated(
        decoding.from_storage(info, old),
        decoding.from_storage(info, new),
        call.options.get("fieldManager") or component_of(call.user.name),
        call.environment.now(),
    )


def with_entries(old: Object, new: Object, entries: Entries | None) -> Object:
    """The new object with its entries.

    They keep their times when nothing else has changed, so that it is not written for their sake.
    """
    present = old["metadata"].get("managedFields")
    if (
        entries is not None
        and present is not None
        and entries != present
        and differ_in_times_only(entries, present)
        and _without_entries(old) == _without_entries(new)
    ):
        entries = present
    metadata = dict(new["metadata"])
    if entries:
        metadata["managedFields"] = entries
    else:
        metadata.pop("managedFields", None)
    return {**new, "metadata": metadata}


def _without_entries(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def component_of(user: str) -> str:
    """The name of the component behind a user, which is what its requests are known by."""
    if user.startswith(_NODE):
        return "kubelet"
    if user.startswith(_CONTROLLERS):
        return "kube-controller-manager"
    if user.startswith(_SERVICE_ACCOUNT):
        return user.rpartition(":")[2]
    return user.removeprefix(_SYSTEM)
