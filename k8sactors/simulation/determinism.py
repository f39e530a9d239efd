"""The one file that touches trio's private names.

Trio shuffles the order of runnable tasks on purpose. Its run loop has a switch, meant for
hypothesis, that orders a batch by task creation and shuffles it with a generator that can be
seeded. Both names are private; `pyproject.toml` pins trio, and a canary test compares trace hashes
of processes with different hash seeds and shuffled object addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trio._core import _run


@contextmanager
def deterministic_scheduling(seed: int) -> Iterator[None]:
    """Make trio's task order a function of `seed` for runs started inside the block."""
    before_flag = _run._ALLOW_DETERMINISTIC_SCHEDULING  # noqa: SLF001 - see module docstring
    before_state = _run._r.getstate()  # noqa: SLF001
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # noqa: SLF001
    _run._r.seed(seed)  # noqa: SLF001
    try:
        yield
    finally:
        _run._ALLOW_DETERMINISTIC_SCHEDULING = before_flag  # type: ignore[misc]  # noqa: SLF001
        _run._r.setstate(before_state)  # noqa: SLF001
