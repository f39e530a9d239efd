"""Where objects live in the store: `/registry/<plural[.group]>/[<namespace>/]<name>`.

Everything the API server writes lies under `ROOT`, so that one store watch over `ROOT` sees every
revision that it could be asked for.
"""

from __future__ import annotations

from typing import Final

ROOT: Final = b"/registry/"


def prefix_of(resource: str, namespace: str | None = None) -> bytes:
    """The prefix of all keys of a resource, or of those in one namespace."""
    if namespace:
        return f"/registry/{resource}/{namespace}/".encode()
    return f"/registry/{resource}/".encode()


def key_of(resource: str, namespace: str | None, name: str) -> bytes:
    """The key of one object."""
    if namespace:
        return f"/registry/{resource}/{namespace}/{name}".encode()
    return f"/registry/{resource}/{name}".encode()


def split_key(key: bytes) -> tuple[str, str, str]:
    """`(resource, namespace, name)` of a key; the namespace of a cluster-scoped one is empty."""
    parts = key[len(ROOT) :].decode().split("/")
    if len(parts) == 3:  # noqa: PLR2004 - resource, namespace, name
        return parts[0], parts[1], parts[2]
    return parts[0], "", parts[-1]


def end_of(prefix: bytes) -> bytes:
    """The first key after all keys that begin with `prefix`."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))
