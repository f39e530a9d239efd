"""Exception groups of one.

A nursery wraps whatever leaves it into an exception group, also when only one task failed. Callers
that expect `StatusError` should get that and not a group around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def sole_cause(error: BaseException) -> BaseException:
    """The exception inside a group of one (however deep), or the error itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@contextmanager
def unwrap_groups() -> Iterator[None]:
    """Raise the sole cause of a group that leaves the block."""
    try:
        yield
    except BaseExceptionGroup as group:
        cause = sole_cause(group)
        if cause is group:
            raise
        raise cause from cause.__cause__
