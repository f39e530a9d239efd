"""How a scenario writes a fault: its parameters, with targets for hosts and units for times.

What may be written follows from the fault's record. Where a fault strikes one host and a target
means several (a zone, all workers), it strikes each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.faults import FAULTS, Fault
from k8sactors.faults import parameters as kinds
from k8sactors.faults.parameters import REQUIRED, Parameter
from k8sactors.scenario.binding import (
    Alternatives,
    Choice,
    Duration,
    Flag,
    Fraction,
    Integer,
    Kind,
    Reader,
    Schema,
    Text,
    named,
    suggestion,
)
from k8sactors.scenario.parsed import Injection
from k8sactors.scenario.targets import TargetKindOfValue
from k8sactors.simulation import MILLISECOND

ACTOR_KEY = "actor"
HOST_KEY = "host"


def key_of(name: str) -> str:
    """The key of a parameter in YAML: camelCase; times have their unit in the value."""
    head, *tail = name.removesuffix("_ms").split("_")
    return head + "".join(part.capitalize() for part in tail)


def settings_of(fault: Fault) -> dict[str, tuple[str, Parameter]]:
    """The keys that a scenario may give, each with the name and the kind of its parameter.

    A process and its host are one target: `worker-1/kubelet`.
    """
    settings = {key_of(name): (name, each) for name, each in fault.parameters.items()}
    if names_an_actor(fault):
        del settings[HOST_KEY]
    return settings


def names_an_actor(fault: Fault) -> bool:
    """Whether the fault strikes a process that must be named."""
    actor = fault.parameters.get(ACTOR_KEY)
    return isinstance(actor, kinds.ActorName) and actor.default is REQUIRED


@attrs.frozen
class Targets:
    """One target or a list of them."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> list[Any]:
        """The targets, as a list."""
        target = TargetKindOfValue()
        if not isinstance(value, list):
            return [target.read(value, path, reader)]
        if not value:
            reader.problem(path, "expected at least one target")
        return [target.read(each, (*path, n), reader) for n, each in enumerate(value)]

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Either form."""
        lone = TargetKindOfValue().schema(definitions)
        return {"anyOf": [lone, {"type": "array", "items": lone, "minItems": 1}]}


@attrs.frozen
class Milliseconds:
    """A span of time, read to whole milliseconds; it may be negative where the fault allows."""

    least: int
    most: int

    def read(self, value: Any, path: KeyPath, reader: Reader) -> int:
        """Milliseconds."""
        negative = self.least < 0 and isinstance(value, str) and value.startswith("-")
        read_ns = Duration().read(value[1:] if negative else value, path, reader)
        milliseconds = -(read_ns // MILLISECOND) if negative else read_ns // MILLISECOND
        if read_ns % MILLISECOND:
            reader.problem(path, f"expected whole milliseconds, got {named(value)}")
        elif not self.least <= milliseconds <= self.most:
            upper = f" and at most {self.most} ms" if self.most < kinds.MOST else ""
            reader.problem(path, f"expected at least {self.least} ms{upper}, got {named(value)}")
        return milliseconds

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A string with units."""
        pattern = Duration().schema(definitions)["pattern"].removeprefix("^")
        return {"type": "string", "pattern": f"^-?{pattern}" if self.least < 0 else f"^{pattern}"}


def kind_of(parameter: Parameter) -> Kind:
    """What a scenario may write for a parameter."""
    match parameter:
        case kinds.Host():
            return TargetKindOfValue()
        case kinds.ActorName() if parameter.default is REQUIRED:
            return TargetKindOfValue()
        case kinds.Hosts():
            return Targets()
        case kinds.Milliseconds():
            return Milliseconds(parameter.least, parameter.most)
        case kinds.Integer():
            return Integer(parameter.least, parameter.most)
        case kinds.Share():
            return Fraction()
        case kinds.Flag():
            return Flag()
        case kinds.Choice():
            return Choice(parameter.words)
        case _:
            return Text("the name of an actor")


@attrs.frozen
class FaultSettings:
    """The parameters of one fault, by the names of the record; a lone value is the required one."""

    fault: Fault

    def read(self, value: Any, path: KeyPath, reader: Reader) -> dict[str, Any]:
        """The parameters that are given, with targets where hosts are named."""
        settings = settings_of(self.fault)
        shorthand = self._shorthand()
        if not isinstance(value, dict) and shorthand is not None:
            name, parameter = settings[shorthand]
            return {name: kind_of(parameter).read(value, path, reader)}
        if not isinstance(value, dict):
            keys = ", ".join(settings) or "no keys"
            reader.problem(path, f"expected a mapping with {keys}; got {named(value)}")
            return {}
        found = {}
        for key, each in value.items():
            if key not in settings:
                hint = suggestion(key, settings) if settings else "it has no parameters"
                reader.problem((*path, key), f"unknown key {key!r}; {hint}", at_key=True)
                continue
            name, parameter = settings[key]
            found[name] = kind_of(parameter).read(each, (*path, key), reader)
        for key in self._required():
            if key not in value:
                about = settings[key][1].about
                reader.problem(path, f"key {key!r} is missing: {about}")
        return found

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """An object, or a lone value."""
        settings = settings_of(self.fault)
        schema: Schema = {
            "type": "object",
            "properties": {
                key: {"description": parameter.about} | kind_of(parameter).schema(definitions)
                for key, (_, parameter) in settings.items()
            },
            "additionalProperties": False,
        }
        if self._required():
            schema["required"] = self._required()
        shorthand = self._shorthand()
        if shorthand is None:
            return schema
        lone = kind_of(settings[shorthand][1]).schema(definitions)
        return {"anyOf": [lone, schema]}

    def _required(self) -> list[str]:
        """Hosts on the other side are all others unless given."""
        return [
            key
            for key, (_, parameter) in settings_of(self.fault).items()
            if parameter.default is REQUIRED
        ]

    def _shorthand(self) -> str | None:
        required = self._required()
        return required[0] if len(required) == 1 else None


class FaultChoices(Mapping[str, Kind]):
    """Every fault of the catalogue, as the choices of an injection."""

    def __getitem__(self, name: str) -> Kind:
        """What the fault's key holds."""
        return FaultSettings(FAULTS[name])

    def __iter__(self) -> Iterator[str]:
        """All names."""
        return iter(FAULTS)

    def __len__(self) -> int:
        """How many there are."""
        return len(FAULTS)

    def about(self, name: str) -> str:
        """One line for readers."""
        return FAULTS[name].title


INJECTION = Alternatives("Injection", "a fault", FaultChoices(), Injection)
