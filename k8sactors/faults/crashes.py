"""Crash at a named point: what `crash-at` and the sequences that end in one share."""

from __future__ import annotations

from typing import Final

from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import Random

STEPS: Final = ("before the write", "before the sync", "after the sync")
INSTALLED_SNAPSHOT: Final = "an installed snapshot"
CHANGE_OF_MEMBERS: Final = "a change of members"
WRITTEN: Final = (
    "a snapshot",
    INSTALLED_SNAPSHOT,
    CHANGE_OF_MEMBERS,
    "entries",
    "a vote or a commit",
)
"""As the disk names them; the rarer ones as often as the others."""


def draw_trap(random: Random, host: str, written: str, passed: tuple[int, ...]) -> Parameters:
    """The parameters of a crash at some step of a certain write."""
    return {
        "host": host,
        "step": random.choice(STEPS),
        "of": written,
        "passed": random.choice(passed) if len(passed) > 1 else passed[0],
        "power": random.choice((False, True)),
    }
