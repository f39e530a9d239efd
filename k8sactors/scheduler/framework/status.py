"""What a plugin answers, and what plugins remember during one attempt to place a pod.

Success is `None`, so that the answer given most often costs nothing.
"""

import enum
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from k8sactors.scheduler.framework.interfaces import FilterPlugin, ScorePlugin

__all__ = ["Code", "CycleState", "Status"]


class Code(enum.IntEnum):
    """Why a plugin did not simply say yes."""

    ERROR = 1
    """Something broke; the attempt is repeated after a back-off."""
    UNSCHEDULABLE = 2
    """Not now; removing other pods might help."""
    UNSCHEDULABLE_AND_UNRESOLVABLE = 3
    """Not on this node, and removing pods does not change that."""
    WAIT = 4
    """Permit only: hold the pod until it is allowed, rejected or timed out."""
    SKIP = 5
    """PreFilter, PreScore and Bind: this plugin has nothing to say about this pod."""


@attrs.frozen
class Status:
    """A plugin's refusal, with the reasons a user will read."""

    code: Code
    reasons: tuple[str, ...] = ()
    plugin: str = ""

    @property
    def message(self) -> str:
        """The reasons in one line."""
        return ", ".join(self.reasons)


@attrs.define(eq=False)
class CycleState:
    """The notes of one scheduling attempt: which plugins take part, and what they wrote down."""

    filters: "list[FilterPlugin]" = attrs.Factory(list)
    """The Filter plugins that did not ask to be skipped in PreFilter."""
    scores: "list[tuple[int, ScorePlugin]]" = attrs.Factory(list)
    """(weight, plugin) of the Score plugins that did not ask to be skipped in PreScore."""
    notes: dict[Hashable, Any] = attrs.Factory(dict)
