"""Writes the delivered messages of a run to a file, one JSON object per line."""

from __future__ import annotations

import json
from typing import Any, TextIO

import msgpack

from k8sactors.simulation import SECOND


class TraceFile:
    """A listener of the simulation's trace."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, now_ns: int, frame: bytes) -> None:
        """Write one delivered frame."""
        line = {"seconds": now_ns / SECOND, "frame": msgpack.unpackb(frame, strict_map_key=False)}
        self._out.write(json.dumps(line, default=_readable) + "\n")


def _readable(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)
