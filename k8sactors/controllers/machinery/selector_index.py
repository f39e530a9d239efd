"""Index values by which labels and selectors find each other without a scan of the namespace.

An object has one value for each of its labels. A selector has one value, that of its first label:
every object that it matches has that value too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
SELECTOR_INDEX = "selector"


def label_values(obj: Object) -> list[str]:
    """`namespace/label=value` for each label, and `namespace/` for selectors that name none."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    labels: Mapping[str, str] = metadata.get("labels") or {}
    return [*(f"{namespace}/{key}={value}" for key, value in labels.items()), f"{namespace}/"]


def selector_value(namespace: str | None, match_labels: Mapping[str, str] | None) -> str:
    """`namespace/label=value` of one label that is wanted; `namespace/` when none is."""
    for key, value in (match_labels or {}).items():
        return f"{namespace}/{key}={value}"
    return f"{namespace}/"
