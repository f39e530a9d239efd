"""Memory of a process that is a store's own: Python's cyclic collector, and the C library's heap.

With Python's defaults it walks the keys of a store again and again while they come: three quarters
of the time of overwriting 200,000 keys went there, in pauses that delay heartbeats. Cycles are
avoided in the code, so that little waits for a collection, and it may be a rare one.

Values of more than 512 bytes lie in the C library's heap, which gives back by itself only what is
free at its end; glibc gives back the rest when it is asked to.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

THRESHOLDS: Final = (10_000, 5, 400)
"""All objects as rarely as after 20 million new ones, but the young ones in small numbers, some
milliseconds for 10,000: meanwhile no client is answered."""

_trims: list[Callable[[int], Any]] = []
"""How to trim the heap; nothing, unless the process is a store's own and the library can do it."""


def give_back() -> None:
    """Give the operating system what is free in the heap, inside `relaxed_collector` only.

    Takes a tenth of a millisecond for each MB, so call it often where much is freed.
    """
    for trim in _trims:
        trim(0)


@contextmanager
def relaxed_collector() -> Iterator[None]:
    """Collect rarely inside the block, and never what exists when it begins."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    trims = [] if trim is None else [trim]
    _trims.extend(trims)
    try:
        yield
    finally:
        del _trims[: len(trims)]
        gc.set_threshold(*before)
        gc.unfreeze()
