"""Units of time: a duration is an integer of nanoseconds unless its name ends otherwise."""

from __future__ import annotations

from typing import Final

MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
