"""What a scenario file says, read: steps, conditions and injections with their places."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Duration, Text, setting

SAVED_NAME = Text("a name of letters, digits, - and _", r"[\w-]+")


@attrs.define
class Step:
    """One step: what to do, with which settings, and where it stands in the file."""

    verb: str
    action: Any
    path: KeyPath
    line: int
    name: str | None = setting(Text(), "what the step is for, in the report", default=None)


@attrs.define
class Condition:
    """One condition: of what kind, with which settings, and where it stands in the file."""

    verb: str
    action: Any
    path: KeyPath
    line: int


@attrs.define
class Injection:
    """One fault: its name in the catalogue, its parameters, and where it stands in the file."""

    verb: str
    action: dict[str, Any]
    path: KeyPath
    line: int
    save: str | None = setting(
        SAVED_NAME,
        "a name for this fault: heal ends it, and $name means what it hit",
        key="as",
        default=None,
    )
    lasts_ns: int | None = setting(
        Duration(), "how long it lasts; until it is healed otherwise", key="for", default=None
    )
