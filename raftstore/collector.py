"""Python's cyclic collector, set for a process that keeps millions of objects alive.

With Python's defaults it walks the keys of a store again and again while they come: three quarters
of the time of overwriting 200,000 keys went there, in pauses that delay heartbeats. Cycles are
avoided in the code, so that little waits for a collection, and it may be a rare one.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

THRESHOLDS: Final = (10_000, 5, 400)
"""All objects as rarely as after 20 million new ones, but the young ones in small numbers, some
milliseconds for 10,000: meanwhile no client is answered."""


@contextmanager
def relaxed_collector() -> Iterator[None]:
    """Collect rarely inside the block, and never what exists when it begins."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
