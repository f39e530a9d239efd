"""Measuring without the cyclic garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_cyclic_collector"]


@contextmanager
def without_cyclic_collector() -> Iterator[None]:
    """Collect once, then let the collector rest until the end of the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
