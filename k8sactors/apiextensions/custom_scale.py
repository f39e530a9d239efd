"""The scale of custom resources: where their definition says that replicas are counted."""

from __future__ import annotations

from typing import Any

from k8sactors.api import errors
from k8sactors.api.kind import ScalePaths

Object = dict[str, Any]


def parts(paths: ScalePaths, obj: Object) -> tuple[Object, Object]:
    """What a Scale shows as its specification (with a selector as text) and its status.

    Raises:
        StatusError: 500, the object does not say how many replicas it wants.
    """
    wanted = _at(obj, paths.spec_replicas)
    if wanted is None:
        text = f'the spec replicas field "{paths.spec_replicas}" does not exist'
        raise errors.internal_error(text)
    spec: Object = {"replicas": wanted}
    selector = _at(obj, paths.label_selector) if paths.label_selector else None
    if isinstance(selector, str) and selector:
        spec["selector"] = selector
    return spec, {"replicas": _at(obj, paths.status_replicas) or 0}


def with_replicas(paths: ScalePaths, obj: Object, replicas: int) -> Object:
    """The object with another number of replicas; what is not touched is shared."""
    names = paths.spec_replicas.lstrip(".").split(".")
    return _with(obj, names, replicas)


def _at(obj: Any, path: str) -> Any:
    for name in path.lstrip(".").split("."):
        if not isinstance(obj, dict):
            return None
        obj = obj.get(name)
    return obj


def _with(obj: Object, names: list[str], value: Any) -> Object:
    name, *rest = names
    if not rest:
        return {**obj, name: value}
    inner = obj.get(name)
    return {**obj, name: _with(inner if isinstance(inner, dict) else {}, rest, value)}
