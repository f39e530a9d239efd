"""A deliberate defect: one function of the system that is replaced while it is switched on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from k8sactors.chaos.outcome import Outcome


@attrs.frozen
class Bug:
    """One defect."""

    # Its row in the zoo.
    number: int
    # What is wrong.
    name: str
    # Where it was met, or which rule it breaks.
    origin: str
    # The class whose function is replaced.
    owner: type
    # The name of the function.
    function: str
    # What takes its place.
    replacement: Callable[..., Any]
    # Runs one seed of the campaign that provokes it: the right faults, and room.
    campaign: Callable[[int], Outcome]
    # The checks that may catch it, the most telling first; others do not count.
    checks: tuple[str, ...]

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        """Build the defect in; the sound function comes back at the end, come what may."""
        sound = getattr(self.owner, self.function)
        setattr(self.owner, self.function, self.replacement)
        try:
            yield
        finally:
            setattr(self.owner, self.function, sound)
