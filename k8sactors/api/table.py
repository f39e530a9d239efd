"""Objects as clients want to show them: as a Table, or as their metadata alone.

Source: Kubernetes API concepts ("Receiving resources as Tables"), KEP-606 and apiserver's
`endpoints/handlers/response.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from k8sactors.api.columns import Column
from k8sactors.api.errors import bad_request

Object = dict[str, Any]

# What the rows of a table hold next to their cells.
WHOLE_OBJECT: Final = "Object"
ONLY_METADATA: Final = "Metadata"
NOTHING: Final = "None"


def check_include_object(value: str) -> str:
    """What the rows are to hold; empty means the metadata.

    Raises:
        StatusError: 400, the value is invalid.
    """
    if value not in {"", WHOLE_OBJECT, ONLY_METADATA, NOTHING}:
        text = f"Invalid value: \"{value}\": must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: includeObject: {text}")
    return value or ONLY_METADATA


def table(
    api_version: str,
    columns: Sequence[Column],
    objects: Iterable[Mapping[str, Any]],
    metadata: Mapping[str, Any],
    now_ns: int,
    *,
    include: str = ONLY_METADATA,
    headers: bool = True,
) -> Object:
    """A Table of `objects`, whose ages are those at `now_ns` (Unix epoch).

    `metadata` is that of the list; without `headers` the columns are left out: a watch has sent
    them with its first event.
    """
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": dict(metadata),
        "columnDefinitions": [_definition(column) for column in columns] if headers else None,
        "rows": [_row(api_version, columns, obj, now_ns, include) for obj in objects],
    }


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _row(
    api_version: str,
    columns: Sequence[Column],
    obj: Mapping[str, Any],
    now_ns: int,
    include: str,
) -> Object:
    row: Object = {"cells": [column.tell(obj, now_ns) for column in columns]}
    if include == WHOLE_OBJECT:
        row["object"] = obj
    elif include == ONLY_METADATA:
        row["object"] = partial_metadata(api_version, obj)
    else:
        row["object"] = None
    return row


def partial_metadata(api_version: str, obj: Mapping[str, Any]) -> Object:
    """An object without anything but its metadata."""
    metadata = obj.get("metadata") or {}
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": metadata}


def partial_metadata_list(
    api_version: str, objects: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any]
) -> Object:
    """A list of objects of which only the metadata is left."""
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": api_version,
        "metadata": dict(metadata),
        "items": [partial_metadata(api_version, obj) for obj in objects],
    }
