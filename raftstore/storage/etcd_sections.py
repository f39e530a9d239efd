"""The parts of the state next to keys and leases, as buckets of etcd's database.

A section of the store that etcd's database has a place for gets a codec here, and `CODECS` names
it: then it is written into snapshot files and restored from them.
"""

from __future__ import annotations

import struct
from typing import Any, Final, Protocol

from raftstore.storage import protobuf
from raftstore.storage.bbolt_writer import Pair

AUTH: Final = b"auth"
AUTH_ROLES: Final = b"authRoles"
AUTH_USERS: Final = b"authUsers"
REVISION: Final = struct.Struct(">Q")
FIRST_AUTH_REVISION: Final = 1

# The items of buckets, by the bucket's name.
Items = dict[bytes, list[Pair]]


class SectionCodec(Protocol):
    """Between a section's `dump` and buckets."""

    # The section's name.
    name: str
    # The buckets that it owns: written even if they are empty.
    buckets: tuple[bytes, ...]

    def to_items(self, data: Any) -> Items:
        """What the section's `dump` gave (None: a store without the section) as items."""

    def from_items(self, items: Items) -> Any:
        """The `dump` of a section with these items.

        Raises:
            ValueError: they make no sense.
        """


class _Alarms:
    """No alarm outlives its cause in a new cluster: none is carried over."""

    name = "alarms"
    buckets: tuple[bytes, ...] = (b"alarm",)

    def to_items(self, data: Any) -> Items:
        del data
        return {}

    def from_items(self, items: Items) -> Any:
        del items


class _Auth:
    """Users, roles and permissions: protobufs ``authpb.User`` and ``authpb.Role`` by name."""

    name = "auth"
    buckets: tuple[bytes, ...] = (AUTH, AUTH_ROLES, AUTH_USERS)

    def to_items(self, data: Any) -> Items:
        enabled, revision, users, roles = data or (False, FIRST_AUTH_REVISION, [], [])
        switch: list[Pair] = [(b"authRevision", REVISION.pack(revision))]
        if users or roles:
            switch.append((b"authEnabled", b"\1" if enabled else b"\0"))
        return {
            AUTH: switch,
            AUTH_USERS: [(user[0].encode(), _encode_user(*user)) for user in users],
            AUTH_ROLES: [(name.encode(), _encode_role(name, given)) for name, given in roles],
        }

    def from_items(self, items: Items) -> Any:
        switch = dict(items.get(AUTH, []))
        revision = int.from_bytes(switch.get(b"authRevision", b""), "big") or FIRST_AUTH_REVISION
        users = [_decode_user(value) for _, value in items.get(AUTH_USERS, [])]
        roles = [_decode_role(value) for _, value in items.get(AUTH_ROLES, [])]
        return [switch.get(b"authEnabled") == b"\1", revision, users, roles]


def _encode_user(name: str, password_hash: str, no_password: bool, roles: list[str]) -> bytes:
    options = [protobuf.encode(1) if no_password else b""]
    granted = [role.encode() for role in roles]
    return protobuf.encode(name.encode(), password_hash.encode(), granted, options)


def _decode_user(data: bytes) -> list[Any]:
    fields = protobuf.decode(data)
    name, password_hash = (protobuf.text(fields, place).decode() for place in (1, 2))
    no_password = bool(protobuf.number(protobuf.decode(protobuf.text(fields, 4)), 1))
    roles = [role.decode() for role in protobuf.decode_repeated(data, 3)]
    return [name, password_hash, no_password, roles]


def _encode_role(name: str, permissions: list[list[Any]]) -> bytes:
    return protobuf.encode(name.encode(), [protobuf.encode(*given) for given in permissions])


def _decode_role(data: bytes) -> list[Any]:
    permissions = []
    for permission in protobuf.decode_repeated(data, 2):
        given = protobuf.decode(permission)
        ends = protobuf.text(given, 2), protobuf.text(given, 3)
        permissions.append([protobuf.number(given, 1), *ends])
    return [protobuf.text(protobuf.decode(data), 1).decode(), permissions]


CODECS: Final[tuple[SectionCodec, ...]] = (_Alarms(), _Auth())
