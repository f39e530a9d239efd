"""The head of an HTTP/2 request: what makes it malformed (RFC 9113, sections 8.2 and 8.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from raftstore.http.errors import PeerError
from raftstore.http.events import Head

CONNECTION_HEADERS: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
REQUIRED: Final = (b":method", b":scheme", b":path")
PSEUDO_HEADERS: Final = frozenset({*REQUIRED, b":authority"})

_name_matches: Final = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_value_matches: Final = re.compile(rb"(?:[^\0\r\n \t](?:[^\0\r\n]*[^\0\r\n \t])?)?").fullmatch


def parse_head(fields: Sequence[tuple[bytes, bytes]]) -> Head:
    """The head that these fields make.

    Raises:
        PeerError: they are malformed.
    """
    pseudo: dict[bytes, bytes] = {}
    headers: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if name[:1] == b":":
            if headers or name in pseudo or name not in PSEUDO_HEADERS:
                raise PeerError(f"{_shown(name)} is not allowed here")
            pseudo[name] = value
        else:
            headers.append((name, value))
        _check(name, value)
    for name in REQUIRED:
        if not pseudo.get(name):
            raise PeerError(f"the request has no {_shown(name)}")
    _check_authority(pseudo.get(b":authority"), headers)
    method, scheme, target = (pseudo[name].decode("latin-1") for name in REQUIRED)
    return Head(method, target, tuple(headers), "2", scheme)


def check_trailers(fields: Sequence[tuple[bytes, bytes]]) -> None:
    """Check what follows the body of a request.

    Raises:
        PeerError: it is malformed.
    """
    for name, value in fields:
        if name[:1] == b":":
            raise PeerError(f"{_shown(name)} is not allowed in trailers")
        _check(name, value)


def _check(name: bytes, value: bytes) -> None:
    if not _name_matches(name):
        raise PeerError(f"{_shown(name)} is not the name of a header")
    if not _value_matches(value):
        raise PeerError(f"{_shown(name)} has a value that no header may have")
    if name in CONNECTION_HEADERS or (name == b"te" and value.lower() != b"trailers"):
        raise PeerError(f"{_shown(name)} belongs to HTTP/1.1")


def _check_authority(authority: bytes | None, headers: Sequence[tuple[bytes, bytes]]) -> None:
    host = next((value for name, value in headers if name == b"host"), None)
    if authority is None and host is None:
        raise PeerError("the request has neither :authority nor host")
    if authority is not None and host is not None and authority != host:
        raise PeerError(":authority and host differ")


def _shown(name: bytes) -> str:
    return repr(name.decode("latin-1"))
