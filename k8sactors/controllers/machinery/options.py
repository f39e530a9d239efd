"""A controller's own settings: an attrs class in its file, filled by name from the manager's.

As with the flags of kube-controller-manager, names are those of one flat space: a setting goes to
every controller that declares it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from k8sactors.controllers.errors import InvalidOptionError


@attrs.frozen
class ControllerOptions:
    """Base of all settings; every field of a subclass has a default, which tells its type."""

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(type(self)):
            check_type(field.name, getattr(self, field.name), field.default)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The options with those settings that this class declares.

        Raises:
            InvalidOptionError: a value has another type than the default.
        """
        declared = {field.name for field in attrs.fields(cls)}
        return cls(**{name: value for name, value in settings.items() if name in declared})


def check_type(name: str, value: object, default: object) -> None:
    """Refuse a value of another type than the default's; an integer may stand for a float."""
    expected = type(default)
    allowed: tuple[type, ...] = (int, float) if expected is float else (expected,)
    if type(value) not in allowed:
        raise InvalidOptionError(name, value, expected)
