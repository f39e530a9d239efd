"""The types that Kubernetes adds to the language: opaque values, held as messages.

The library's values are those of protobuf, so a quantity, an address or a version is a message
whose text is canonical: two that mean the same are equal. All are of one message type, since the
interpreter cannot tell functions apart by it; `declaration` looks at the kind in the message.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import attrs
from cel_expr_python import cel
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
)

_MESSAGE: Final = "kubernetes.Value"
_FIELD: Final = descriptor_pb2.FieldDescriptorProto


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name="kubernetes_cel.proto", package="kubernetes", syntax="proto3"
    )
    message = file.message_type.add(name="Value")
    for number, name in enumerate(("kind", "text"), 1):
        message.field.add(
            name=name, number=number, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


POOL: Final = _pool()
VALUE: Final[Any] = message_factory.GetMessageClass(POOL.FindMessageTypeByName(_MESSAGE))
VALUE_TYPE: Final = cel.Type(_MESSAGE)


@attrs.frozen
class Opaque:
    """One of the added types, by its name."""

    name: str

    def make(self, text: str) -> Any:
        """The value with this canonical text."""
        return VALUE(kind=self.name, text=text)


QUANTITY: Final = Opaque("kubernetes.Quantity")
URL: Final = Opaque("kubernetes.URL")
IP: Final = Opaque("net.IP")
CIDR: Final = Opaque("net.CIDR")
SEMVER: Final = Opaque("kubernetes.Semver")


def timestamp(moment: datetime) -> Any:
    """A point in time, as a value of CEL; `moment` has a time zone."""
    value = timestamp_pb2.Timestamp()
    value.FromDatetime(moment)
    return value


_UNITS_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def duration(text: str) -> Any:
    """A duration as Go writes it (`1h30m`), as a value of CEL.

    Raises:
        ValueError: it is not one.
    """
    bare = text.lstrip("+-")
    parts = _PART.findall(bare)
    if not parts or "".join(number + unit for number, unit in parts) != bare:
        raise ValueError(f"invalid duration {text!r}")
    total_ns = sum(round(float(number) * _UNITS_NS[unit]) for number, unit in parts)
    value = duration_pb2.Duration()
    value.FromNanoseconds(-total_ns if text.startswith("-") else total_ns)
    return value
