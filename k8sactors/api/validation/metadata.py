"""Rules that hold for the metadata of every object, and for label selectors wherever they occur."""

from __future__ import annotations

from k8sactors.api.kind import ResourceInfo
from k8sactors.api.validation import names
from k8sactors.api.validation.fields import (
    IMMUTABLE,
    Causes,
    Object,
    forbidden,
    invalid,
    required,
    too_long,
)

ANNOTATIONS_BYTES_MAX = 256 * 1024
_STANDARD_FINALIZERS = {"kubernetes", "orphan", "foregroundDeletion"}
_EVENT_VERSIONS = {"v1", "events.k8s.io/v1", "events.k8s.io/v1beta1"}


def check_labels(labels: Object | None, path: str, causes: Causes) -> None:
    """Keys and values of labels, and of everything that is used as labels."""
    for key, value in (labels or {}).items():
        for complaint in names.qualified_name(key):
            causes.append(invalid(path, key, complaint))
        for complaint in names.label_value(value or ""):
            causes.append(invalid(path, value, complaint))


def check_annotations(annotations: Object | None, path: str, causes: Causes) -> None:
    """Keys of annotations, and their size altogether."""
    if not annotations:
        return
    size_bytes = 0
    for key, value in annotations.items():
        for complaint in names.qualified_name(key.lower()):
            causes.append(invalid(path, key, complaint))
        size_bytes += len(key.encode()) + len((value or "").encode())
    if size_bytes > ANNOTATIONS_BYTES_MAX:
        causes.append(too_long(path, ANNOTATIONS_BYTES_MAX))


def _check_finalizers(finalizers: list[str], path: str, causes: Causes) -> None:
    for index, finalizer in enumerate(finalizers):
        for complaint in names.qualified_name(finalizer):
            causes.append(invalid(path, finalizer, complaint))
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid(f"{path}[{index}]", finalizer, detail))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(invalid(path, finalizers, detail))


def _check_owners(owners: list[Object], path: str, causes: Causes) -> None:
    controllers: list[str] = []
    for index, owner in enumerate(owners):
        at = f"{path}[{index}]"
        for field, text in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not owner.get(field):
                causes.append(invalid(f"{at}.{field}", owner.get(field) or "", text))
        if owner.get("kind") == "Event" and owner.get("apiVersion") in _EVENT_VERSIONS:
            text = f"{owner['apiVersion']}, Kind=Event is disallowed from being an owner"
            causes.append(invalid(at, owner, text))
        if owner.get("controller"):
            controllers.append(f"{owner.get('kind')}/{owner.get('name')}")
    if len(controllers) > 1:
        detail = (
            'Only one reference can have Controller set to true. Found "true" in references '
            f"for {controllers[0]} and {controllers[1]}"
        )
        causes.append(invalid(path, owners, detail))


def check_metadata(info: ResourceInfo, obj: Object, causes: Causes) -> None:
    """Everything about `metadata` that can be told from the object alone."""
    metadata = obj.get("metadata") or {}
    name = metadata.get("name")
    rule = info.record.name_rule or names.dns1123_subdomain
    if prefix := metadata.get("generateName"):
        for complaint in rule(prefix.rstrip("-.") or prefix):
            causes.append(invalid("metadata.generateName", prefix, complaint))
    if not name:
        if not prefix:
            causes.append(required("metadata.name", "name or generateName is required"))
    else:
        for complaint in rule(name):
            causes.append(invalid("metadata.name", name, complaint))
    namespace = metadata.get("namespace")
    if info.namespaced:
        if namespace is not None:
            for complaint in names.dns1123_label(namespace):
                causes.append(invalid("metadata.namespace", namespace, complaint))
    elif namespace:
        causes.append(forbidden("metadata.namespace", "not allowed on this type"))
    check_labels(metadata.get("labels"), "metadata.labels", causes)
    check_annotations(metadata.get("annotations"), "metadata.annotations", causes)
    if finalizers := metadata.get("finalizers"):
        _check_finalizers(finalizers, "metadata.finalizers", causes)
    if owners := metadata.get("ownerReferences"):
        _check_owners(owners, "metadata.ownerReferences", causes)


def check_metadata_update(old: Object, new: Object, causes: Causes) -> None:
    """What may not change in `metadata` over an object's life."""
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    for field in ("name", "namespace", "uid"):
        if before.get(field) != after.get(field) and after.get(field):
            causes.append(invalid(f"metadata.{field}", after[field], IMMUTABLE))
    if before.get("deletionTimestamp"):
        present = before.get("finalizers") or []
        added = [name for name in after.get("finalizers") or [] if name not in present]
        if added:
            listed = ", ".join(f'"{name}"' for name in added)
            detail = (
                "no new finalizers can be added if the object is being deleted, found new "
                f"finalizers []string{{{listed}}}"
            )
            causes.append(forbidden("metadata.finalizers", detail))


def check_set_operator(operator: object, values: object, at: str, causes: Causes) -> bool:
    """What In, NotIn, Exists and DoesNotExist ask of values; False when it is none of them."""
    if operator in {"In", "NotIn"}:
        if not values:
            detail = "must be specified when `operator` is 'In' or 'NotIn'"
            causes.append(required(f"{at}.values", detail))
    elif operator in {"Exists", "DoesNotExist"}:
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            causes.append(forbidden(f"{at}.values", detail))
    else:
        return False
    return True


def check_selector(selector: Object | None, path: str, causes: Causes) -> None:
    """A LabelSelector's own form."""
    if not selector:
        return
    check_labels(selector.get("matchLabels"), f"{path}.matchLabels", causes)
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{index}]"
        operator, values = expression.get("operator"), expression.get("values")
        if not check_set_operator(operator, values, at, causes):
            causes.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
        for complaint in names.qualified_name(expression.get("key") or ""):
            causes.append(invalid(f"{at}.key", expression.get("key"), complaint))
        for number, value in enumerate(values or ()):
            for complaint in names.label_value(value):
                causes.append(invalid(f"{at}.values[{number}]", value, complaint))
