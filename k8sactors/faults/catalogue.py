"""A catalogue is found, not listed: each module of a package holds one record.

So one more fault (or step of a scenario, or condition) is one more file. Modules are read in order
of their names, so that the order of a catalogue is the same everywhere.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar, cast

from k8sactors.faults import injectors
from k8sactors.faults.errors import UnknownFaultError
from k8sactors.faults.fault import Fault

T = TypeVar("T")


class Catalogue(Mapping[str, T]):
    """The records of a package's modules by their names."""

    def __init__(self, package: ModuleType, attribute: str, name_of: Callable[[T], str]) -> None:
        """A catalogue that is read at its first use.

        Args:
            package: its modules hold the records.
            attribute: the name of the record in each module.
            name_of: tells the name of a record.
        """
        self._package = package
        self._attribute = attribute
        self._name_of = name_of
        self._records: dict[str, T] | None = None

    def reload(self) -> None:
        """Look at the package again: a module was added."""
        self._records = None

    def _read(self) -> dict[str, T]:
        if self._records is None:
            names = sorted(entry.name for entry in pkgutil.iter_modules(self._package.__path__))
            records: dict[str, T] = {}
            for name in names:
                module: Any = import_module(f"{self._package.__name__}.{name}")
                record = cast("T", getattr(module, self._attribute))
                if self._name_of(record) in records:
                    raise ValueError(f"{module.__name__}: {self._name_of(record)} is there twice")
                records[self._name_of(record)] = record
            self._records = records
        return self._records

    def __getitem__(self, name: str) -> T:
        """The record of that name."""
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        """All names, in order of the modules."""
        return iter(self._read())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._read())


FAULTS: Catalogue[Fault] = Catalogue(injectors, "FAULT", lambda fault: fault.name)
"""Every fault."""


def fault_named(name: str) -> Fault:
    """The fault of that name.

    Raises:
        UnknownFaultError: there is none; the message says what there is.
    """
    fault = FAULTS.get(name)
    if fault is None:
        near = get_close_matches(name, list(FAULTS), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(FAULTS)}"
        raise UnknownFaultError(f"no fault {name!r}; {hint}")
    return fault


def faults_of_groups() -> dict[str, tuple[str, ...]]:
    """The names of the faults of each group."""
    groups: dict[str, list[str]] = {}
    for fault in FAULTS.values():
        groups.setdefault(fault.group.value, []).append(fault.name)
    return {group: tuple(names) for group, names in sorted(groups.items())}


def common_faults() -> tuple[str, ...]:
    """What strikes a cluster when a campaign names no faults."""
    return tuple(fault.name for fault in FAULTS.values() if fault.common)


def cluster_faults() -> tuple[str, ...]:
    """The faults that strike any cluster; the others need an operator, a quota, ..."""
    return tuple(fault.name for fault in FAULTS.values() if not fault.needs)
