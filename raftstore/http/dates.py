"""The date that an answer carries (RFC 9110, section 6.6.1), made once a second."""

from __future__ import annotations

import time
from email.utils import formatdate


class _Latest:
    """The date of the latest answer."""

    second = -1
    header = (b"date", b"")


def date_header() -> tuple[bytes, bytes]:
    """The header, for an answer that is sent now."""
    second = int(time.time())
    if second != _Latest.second:
        _Latest.second = second
        _Latest.header = (b"date", formatdate(second, usegmt=True).encode())
    return _Latest.header
