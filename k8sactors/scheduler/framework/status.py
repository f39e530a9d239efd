"""What a plugin answers when it does not simply agree.

Success is `None`, so that the answer given most often costs nothing.
"""

from __future__ import annotations

import enum

import attrs

__all__ = ["Code", "Status"]


class Code(enum.IntEnum):
    """Why a plugin did not simply say yes."""

    # Something broke; the attempt is repeated after a back-off.
    ERROR = 1
    # Not now; removing other pods might help.
    UNSCHEDULABLE = 2
    # Not on this node, and removing pods does not change that.
    UNSCHEDULABLE_AND_UNRESOLVABLE = 3
    # Permit only: hold the pod until it is allowed, rejected or timed out.
    WAIT = 4
    # PreFilter, PreScore and Bind: this plugin has nothing to say about this pod.
    SKIP = 5


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
