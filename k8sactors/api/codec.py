"""Objects to bytes and back: the one form in which an object is stored and travels.

msgpack of the plain dict, *without* `metadata.resourceVersion`. The version is known only once
the store has committed the write (it is the key's mod_revision), so it travels next to the bytes;
the same bytes then serve the store, every member and every watcher without being encoded again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgpack

_packer = msgpack.Packer(use_bin_type=True, autoreset=True)
_pack = _packer.pack
_unpack = msgpack.unpackb


def encode(obj: dict[str, Any]) -> bytes:
    """The bytes of an object; its resourceVersion is left out."""
    metadata = obj.get("metadata")
    if metadata and "resourceVersion" in metadata:
        metadata = metadata.copy()
        del metadata["resourceVersion"]
        obj = {**obj, "metadata": metadata}
    return cast("bytes", _pack(obj))


def decode(data: bytes, resource_version: int) -> dict[str, Any]:
    """The object in `data` as of store revision `resource_version` (0: none is set)."""
    obj = cast("dict[str, Any]", _unpack(data))
    if resource_version:
        metadata = obj.get("metadata")
        if metadata is None:
            obj["metadata"] = {"resourceVersion": str(resource_version)}
        else:
            metadata["resourceVersion"] = str(resource_version)
    return obj


# The bytes of any JSON value (a patch, a Status, a selector): nothing is left out.
encode_value: Callable[[Any], bytes] = _pack
# The JSON value in bytes.
decode_value: Callable[[bytes], Any] = _unpack
