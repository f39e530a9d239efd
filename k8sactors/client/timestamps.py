"""Kubernetes' two forms of time: seconds (`metav1.Time`) and microseconds (`metav1.MicroTime`)."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 1_000_000_000


def time_string(wall_ns: int) -> str:
    """`2025-01-01T00:00:00Z` for nanoseconds since the Unix epoch."""
    return _second_string(wall_ns // _SECOND_NS)


@lru_cache(maxsize=64)
def _second_string(seconds: int) -> str:
    # Under load, thousands of objects carry the same second.
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(wall_ns: int) -> str:
    """`2025-01-01T00:00:00.000000Z` for nanoseconds since the Unix epoch."""
    seconds, rest_ns = divmod(wall_ns, _SECOND_NS)
    return f"{_second_string(seconds)[:-1]}.{rest_ns // 1000:06d}Z"


def parse_time(text: str) -> int:
    """Nanoseconds since the Unix epoch, from either form."""
    moment = datetime.fromisoformat(text)
    delta = moment - _EPOCH
    seconds = delta.days * 86_400 + delta.seconds
    return seconds * _SECOND_NS + delta.microseconds * 1000
