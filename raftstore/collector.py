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

Thresholds = tuple[int, int, int]

# All objects as rarely as after 20 million new ones, but the young ones in small numbers, some
# milliseconds for 10,000: meanwhile no client is answered.
THRESHOLDS: Final[Thresholds] = (10_000, 5, 400)

# Generations, with the younger ones.
YOUNG: Final = 1
ALL: Final = 2

# How to trim the heap; nothing, unless the process is a store's own and the library can do it.
_trims: list[Callable[[int], Any]] = []


def give_back() -> None:
    """Give the operating system what is free in the heap, inside `relaxed_collector` only.

    Takes a tenth of a millisecond for each MB, so call it often where much is freed.
    """
    for trim in _trims:
        trim(0)


@contextmanager
def relaxed_collector(
    thresholds: Thresholds = THRESHOLDS, *, trims_heap: bool = True, young_only: bool = False
) -> Iterator[None]:
    """Collect rarely inside the block, and never what exists when it begins.

    `trims_heap`: the process is a store's own, so that `give_back` may trim its heap.
    `young_only`: what exists for long is not collected at the begin; that takes 50 ms in a process
    of 300,000 objects, and a block that is short and entered often is faster without.
    """
    before = gc.get_threshold()
    gc.collect(YOUNG if young_only else ALL)
    gc.freeze()
    gc.set_threshold(*thresholds)
    trims = []
    if trims_heap and os.name == "posix":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        trims += [] if trim is None else [trim]
    _trims.extend(trims)
    try:
        yield
    finally:
        del _trims[: len(trims)]
        gc.set_threshold(*before)
        gc.unfreeze()
