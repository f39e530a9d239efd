"""What a checker says: which guarantee is broken, when, and how one can see it.

A checker is a function from a recorded history to a list of findings; an empty list means that the
guarantee held. Checkers never raise on a bad history, so that one run can report all of them.
"""

from __future__ import annotations

import attrs

from k8sactors.simulation import SECOND


@attrs.frozen(order=True)
class Finding:
    """One violated guarantee."""

    # The name of the check, as printed in reports ("pod-bound-twice").
    check: str
    # What was seen, and what should have been.
    message: str
    # Virtual time of the first event that shows it.
    time_ns: int

    def __str__(self) -> str:
        return f"{self.time_ns / SECOND:.3f}s {self.check}: {self.message}"
