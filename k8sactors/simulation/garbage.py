"""The cyclic collector, tuned for many live objects.

A cluster keeps hundreds of thousands of dicts alive. With Python's defaults the collector walks
them again and again: a fifth of the time of an idle cluster of a hundred nodes went there. What
exists when a run starts is set aside (frozen), and collections during the run become rarer; the
code avoids cycles, so that little waits for them.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (500_000, 10, 20)


@contextmanager
def relaxed_collector() -> Iterator[None]:
    """Collect rarely inside the block; restore the settings, and collect, behind it."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
