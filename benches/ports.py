"""Ports for servers in processes of their own.

The system hands out ports of its ephemeral range to every outgoing connection and to every server
that asks for port 0. A port of that range which was free a moment ago may be taken when a child
process listens there. So the ports come from below that range, from a random place in it, and no
process of this project gets the same one twice.
"""

from __future__ import annotations

import random
import socket
from typing import Final

# Linux hands out 32768 to 60999 itself.
_FIRST: Final = 12_000
_LAST: Final = 31_999
_ATTEMPTS: Final = 2_000


class NoUnusedPortsError(Exception):
    """Too few ports of loopback are free."""


class _Cursor:
    """Where the next search begins; each process starts at a random port."""

    def __init__(self) -> None:
        self._next = random.SystemRandom().randint(_FIRST, _LAST)

    def advance(self) -> int:
        port = self._next
        self._next = port + 1 if port < _LAST else _FIRST
        return port


_CURSOR: Final = _Cursor()


def unused_ports(count: int, *, in_a_row: bool = False) -> list[int]:
    """Ports of loopback that no process listens at, for servers that are about to start.

    Raises NoUnusedPortsError.
    """
    found: list[int] = []
    for _ in range(_ATTEMPTS):
        port = _CURSOR.advance()
        if not _is_free(port):
            continue
        if in_a_row and found and port != found[-1] + 1:
            found.clear()
        found.append(port)
        if len(found) == count:
            return found
    raise NoUnusedPortsError(
        f"there are no {count} unused ports between {_FIRST} and {_LAST}; stop other servers"
    )


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
