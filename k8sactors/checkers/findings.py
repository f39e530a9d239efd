"""What a checker says: which guarantee is broken, when, and how one can see it.

A checker is a function from a recorded history to a list of findings; an empty list means that the
guarantee held. Checkers never raise on a bad history, so that one run can report all of them.
"""

from attrs import frozen

_NS_PER_SECOND = 1_000_000_000


@frozen(order=True)
class Finding:
    """One violated guarantee.

    Attributes:
        check: the name of the check, as printed in reports ("pod-bound-twice").
        message: what was seen, and what should have been.
        time_ns: virtual time of the first event that shows it.
    """

    check: str
    message: str
    time_ns: int

    def __str__(self) -> str:
        return f"{self.time_ns / _NS_PER_SECOND:.3f}s {self.check}: {self.message}"
