"""A step of a request needs an object in a version that only another program can make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from k8sactors.api.errors import AnswerNeededError

Object = dict[str, Any]
# Asks for objects in a version; the last is called when they are there, or cannot be had.
Ask = Callable[[Sequence[Object], str, Callable[[], None]], None]


class ConversionNeededError(AnswerNeededError):
    """A step needs an object in another version; `begin` asks for it."""

    def __init__(self, ask: Ask, obj: Object, wanted: str) -> None:
        super().__init__(lambda resume: ask([obj], wanted, resume))
        self.ask = ask
        self.obj = obj
        self.wanted = wanted


def begin_all(needed: Sequence[ConversionNeededError], resume: Callable[[], None]) -> None:
    """Ask for many objects of one list at once."""
    first = needed[0]
    first.ask([each.obj for each in needed], first.wanted, resume)
