"""The class of a cluster that objects get which name none: the newest that is marked as default.

Source: documentation of admission controllers, "DefaultStorageClass" and "DefaultIngressClass". Of
several defaults the newest counts, then the first by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def default_class(classes: Iterable[dict[str, Any]], annotations: tuple[str, ...]) -> str:
    """The name of the default of some classes; "" when none is marked.

    A class is marked by the value "true" of one of the `annotations`.
    """
    newest, name = "", ""
    for each in classes:
        metadata = each["metadata"]
        values = metadata.get("annotations") or {}
        if not any(values.get(key) == "true" for key in annotations):
            continue
        created = metadata["creationTimestamp"]
        if created > newest or (created == newest and metadata["name"] < name):
            newest, name = created, metadata["name"]
    return name
