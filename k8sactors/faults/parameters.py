"""What a parameter of a fault may be: one description for plans, replay files and scenarios.

The value of a parameter is plain JSON data, and its name carries the unit (`delay_ms`,
`drift_ppm`). A parameter without a default must be given.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import attrs

Parameters = dict[str, Any]

REQUIRED: Final = object()
"""The default of a parameter that has none."""

LEADER: Final = "$leader"
"""Stands for the host that leads the store when the fault begins."""

MOST: Final = (1 << 62) - 1


class Parameter(Protocol):
    """One parameter of a fault."""

    @property
    def about(self) -> str:
        """One line for readers."""

    @property
    def default(self) -> Any:
        """Used when it is not given; `REQUIRED`: it must be."""

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, in words that follow "must be"."""


@attrs.frozen
class Host:
    """The name of a host."""

    about: str
    default: Any = REQUIRED

    def problem(self, value: Any) -> str | None:
        """A name."""
        return None if isinstance(value, str) else "a str"


@attrs.frozen
class Hosts:
    """The names of several hosts."""

    about: str
    default: Any = REQUIRED

    def problem(self, value: Any) -> str | None:
        """A list of names."""
        good = isinstance(value, list) and all(isinstance(each, str) for each in value)
        return None if good else "a list"


@attrs.frozen
class OtherHosts(Hosts):
    """The names of several hosts; by default all that no other parameter names."""

    default: Any = ()


@attrs.frozen
class ActorName:
    """The name of an actor on the host that the parameter `host` names."""

    about: str
    default: Any = REQUIRED

    def problem(self, value: Any) -> str | None:
        """A name."""
        return None if isinstance(value, str) else "a str"


@attrs.frozen
class Integer:
    """A whole number with a unit."""

    about: str
    least: int = 0
    most: int = MOST
    default: Any = REQUIRED

    def problem(self, value: Any) -> str | None:
        """A number within the bounds."""
        if type(value) is not int:
            return "an int"
        if self.least <= value <= self.most:
            return None
        upper = f" and at most {self.most}" if self.most < MOST else ""
        return f"at least {self.least}{upper}"


@attrs.frozen
class Milliseconds(Integer):
    """A span of virtual time."""


@attrs.frozen
class Share:
    """A probability."""

    about: str
    default: Any = REQUIRED

    def problem(self, value: Any) -> str | None:
        """A number from 0 to 1."""
        good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
        return None if good else "a float between 0 and 1"


@attrs.frozen
class Flag:
    """True or false."""

    about: str
    default: Any = REQUIRED

    def problem(self, value: Any) -> str | None:
        """A truth value."""
        return None if isinstance(value, bool) else "a bool"


@attrs.frozen
class Choice:
    """One of a few words."""

    about: str
    words: tuple[str, ...]
    default: Any = REQUIRED

    def problem(self, value: Any) -> str | None:
        """One of the words."""
        return None if value in self.words else f"one of: {', '.join(self.words)}"
