"""Unix nanoseconds as Kubernetes writes them.

Object timestamps (`metav1.Time`) have whole seconds, lease timestamps (`metav1.MicroTime`)
microseconds. Renewing leases is the commonest thing that an idle node does, so the text of the
running second is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_SECOND = 1_000_000_000


@lru_cache(maxsize=64)
def _second_text(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(wall_ns: int) -> str:
    """The time with whole seconds, for example 2025-01-01T00:00:10Z."""
    return f"{_second_text(wall_ns // _SECOND)}Z"


def rfc3339_micro(wall_ns: int) -> str:
    """The time with microseconds, for example 2025-01-01T00:00:10.000250Z."""
    seconds, nanoseconds = divmod(wall_ns, _SECOND)
    return f"{_second_text(seconds)}.{nanoseconds // 1000:06d}Z"


def parse_rfc3339(text: str) -> int:
    """Unix nanoseconds of an object timestamp."""
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * _SECOND + moment.microsecond * 1000
