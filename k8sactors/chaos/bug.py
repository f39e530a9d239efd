"""A deliberate defect: one function of the system that is replaced while it is switched on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from k8sactors.chaos.outcome import Outcome


@attrs.frozen
class Bug:
    """One defect.

    Attributes:
        number: its row in the zoo.
        name: what is wrong.
        origin: where it was met, or which rule it breaks.
        owner: the class whose function is replaced.
        function: the name of the function.
        replacement: what takes its place.
        campaign: runs one seed of the campaign that provokes it: the right faults, and room.
        checks: the checks that may catch it, the most telling first; others do not count.
    """

    number: int
    name: str
    origin: str
    owner: type
    function: str
    replacement: Callable[..., Any]
    campaign: Callable[[int], Outcome]
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
