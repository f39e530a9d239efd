"""Where a store is: ``etcd://host:port,host:port``, or ``etcds://`` for TLS."""

from __future__ import annotations

from typing import Final

import attrs

from raftstore.errors import ConfigurationError

DEFAULT_PORT: Final = 2379
MAX_PORT: Final = 65_535
MAX_ENDPOINTS: Final = 100
PLAIN: Final = "etcd"
SECURE: Final = "etcds"
# What is typed in thought of the URL of a single endpoint.
MEANT: Final = {"http": PLAIN, "https": SECURE, "etcd+http": PLAIN, "etcd+https": SECURE}
FORM: Final = "etcd://HOST:PORT,HOST:PORT (etcds:// for TLS)"


class TargetError(ConfigurationError):
    """The text names no store; the message says how to write it."""


@attrs.frozen
class Target:
    """The endpoints of one store, as ``host:port``, in order of preference."""

    endpoints: tuple[str, ...]
    secure: bool = False


def parse_target(text: str) -> Target:
    """Read ``etcd://host:port,...``.

    Raises:
        TargetError: it is written otherwise.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise TargetError(f"{text!r} has no scheme; write {FORM}")
    if scheme not in {PLAIN, SECURE}:
        meant = MEANT.get(scheme, "")
        remedy = f"{meant}://{rest}" if meant else FORM
        raise TargetError(f"a store cannot be reached by {scheme}://; write {remedy}")
    if "/" in rest.rstrip("/"):
        raise TargetError(f"{text!r} has a path; write {FORM}")
    parts = rest.rstrip("/").split(",")
    if len(parts) > MAX_ENDPOINTS:
        raise TargetError(f"{len(parts)} endpoints are too many; name at most {MAX_ENDPOINTS}")
    endpoints = tuple(dict.fromkeys(_endpoint(part, text) for part in parts))
    return Target(endpoints, scheme == SECURE)


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[address]:port``; without a port, etcd's.

    Raises:
        TargetError: the port is none.
    """
    if endpoint.startswith("["):
        host, _, rest = endpoint[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = endpoint.partition(":")
    if not port:
        return host, DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
        raise TargetError(f"{endpoint!r}: {port!r} is no port; write HOST:PORT, [HOST]:PORT")
    return host, int(port)


def _endpoint(part: str, text: str) -> str:
    part = part.strip()
    host, port = split_endpoint(part)
    if not host or any(character.isspace() for character in part):
        raise TargetError(f"{text!r}: {part!r} names no host; write {FORM}")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
