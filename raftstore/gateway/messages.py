"""Protobuf classes made at import from the tables of `raftstore.gateway.schema` and its like.

The descriptors live in a pool of their own, so that a program may import etcd's generated classes
next to these. A class is had by its name: ``message("PutRequest")``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from raftstore.gateway.auth_schema import AUTH_ENUMS, AUTH_MESSAGES, AUTH_SERVICE
from raftstore.gateway.cluster_schema import CLUSTER_SERVICE
from raftstore.gateway.concurrency_schema import ELECTION_MESSAGES, LOCK_MESSAGES
from raftstore.gateway.health_schema import HEALTH_ENUMS, HEALTH_MESSAGES
from raftstore.gateway.schema import KV_ENUMS, KV_MESSAGES, RPC_ENUMS, RPC_MESSAGES

PACKAGES: Final = ("authpb", "etcdserverpb", "mvccpb")
"""Packages whose messages others may have as fields, by their full name."""

SCALARS: Final = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}


def _field(line: str, message: DescriptorProto, package: str, enums: Mapping[str, Any]) -> None:
    declaration, _, oneof = line.partition(" in ")
    words, number = declaration.split(" = ")
    *labels, kind, name = words.split()
    field = message.field.add(name=name, number=int(number))
    field.label = (
        FieldDescriptorProto.LABEL_REPEATED if labels else FieldDescriptorProto.LABEL_OPTIONAL
    )
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type = (
            FieldDescriptorProto.TYPE_ENUM if kind in enums else FieldDescriptorProto.TYPE_MESSAGE
        )
        field.type_name = f".{kind}" if kind.split(".")[0] in PACKAGES else f".{package}.{kind}"
    if oneof:
        names = [known.name for known in message.oneof_decl]
        if oneof not in names:
            message.oneof_decl.add(name=oneof)
            names.append(oneof)
        field.oneof_index = names.index(oneof)


def _enum(name: str, values: Sequence[str]) -> EnumDescriptorProto:
    made = EnumDescriptorProto(name=name.rpartition(".")[2])
    for number, value in enumerate(values):
        made.value.add(name=value, number=number)
    return made


def _file(
    package: str,
    messages: Mapping[str, str],
    enums: Mapping[str, Sequence[str]],
    imports: Sequence[str] = (),
) -> FileDescriptorProto:
    file = FileDescriptorProto(
        name=f"raftstore/{package}.proto", package=package, syntax="proto3", dependency=imports
    )
    by_name = {name: file.message_type.add(name=name) for name in messages}
    for name, lines in messages.items():
        for line in filter(None, map(str.strip, lines.splitlines())):
            _field(line, by_name[name], package, enums)
    for name, values in enums.items():
        owner = name.rpartition(".")[0]
        if owner:
            by_name[owner].enum_type.append(_enum(name, values))
        else:
            file.enum_type.append(_enum(name, values))
    return file


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    kv = _file("mvccpb", KV_MESSAGES, KV_ENUMS)
    auth = _file("authpb", AUTH_MESSAGES, AUTH_ENUMS)
    messages = {**RPC_MESSAGES, **CLUSTER_SERVICE, **AUTH_SERVICE}
    rpc = _file("etcdserverpb", messages, RPC_ENUMS, [kv.name, auth.name])
    for file in (
        kv,
        auth,
        rpc,
        _file("v3lockpb", LOCK_MESSAGES, {}, [rpc.name]),
        _file("v3electionpb", ELECTION_MESSAGES, {}, [rpc.name, kv.name]),
        _file("grpc.health.v1", HEALTH_MESSAGES, HEALTH_ENUMS),
    ):
        pool.Add(file)
    return pool


_POOL: Final = _pool()


def message(name: str, package: str = "etcdserverpb") -> Any:
    """The class of a message."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{package}.{name}"))
