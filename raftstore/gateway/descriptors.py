"""File descriptors: connections of clients must leave some for files and for other members.

A member that cannot open the next file of its log has to stop; that must not be in the hands of
clients that open connections. So the process takes as many descriptors as the system lets it have,
and each port takes no more connections than its share of three quarters of them.
"""

from __future__ import annotations

import resource
from typing import Final

MAX_CONNECTIONS: Final = 2_000
"""Of a port."""
WANTED: Final = 16_384
MIN_RESERVED: Final = 64


def raise_limit() -> None:
    """Let the process have more descriptors, as far as it may have them without being asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def max_connections(ports: int) -> int:
    """How many each of the ports of this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    reserved = max(MIN_RESERVED, soft // 4)
    return max(1, min(MAX_CONNECTIONS, (soft - reserved) // ports))
