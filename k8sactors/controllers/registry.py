"""Which controllers there are, and which of them a manager runs.

Every module or package next to this one that defines a `Controller` with a name is found: there is
no list. Selection is that of `kube-controller-manager --controllers`: `*` means all, `name` one,
`-name` all but this one. The aliases from before Kubernetes 1.28 are understood too.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import attrs

from k8sactors import controllers
from k8sactors.controllers.errors import UnknownControllerError, UnknownOptionError
from k8sactors.controllers.machinery.controller import Controller

_NOT_CONTROLLERS = frozenset({"errors", "machinery", "manager", "registry"})


def find_controllers() -> dict[str, type[Controller]]:
    """Every controller by its name in the real controller manager, sorted."""
    found: dict[str, type[Controller]] = {}
    for name in _module_names(tuple(controllers.__path__)):
        if name in _NOT_CONTROLLERS:
            continue
        module = import_module(f"{controllers.__name__}.{name}")
        for kind in _defined_in(module):
            assert kind.name not in found, f"two controllers are called {kind.name}"
            found[kind.name] = kind
    return dict(sorted(found.items()))


@cache
def _module_names(path: tuple[str, ...]) -> list[str]:
    """What lies there; looked up once, because every start of a cluster asks."""
    return [entry.name for entry in pkgutil.iter_modules(path)]


def _defined_in(module: ModuleType) -> list[type[Controller]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Controller)
        and value.name
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
    ]


def select_controllers(
    selection: Sequence[str], settings: Mapping[str, Any]
) -> list[type[Controller]]:
    """The controllers that a selection asks for, in starting order, once `settings` are checked.

    Raises:
        UnknownControllerError: a name in the selection is not that of a controller.
        UnknownOptionError: no controller, selected or not, declares one of the settings.
        InvalidOptionError: a setting has another type than its default.
    """
    known = find_controllers()
    _check_settings(known, settings)
    names = {alias: name for name, kind in known.items() for alias in (name, *kind.aliases)}
    wanted: dict[str, bool] = {}
    everything = False
    for item in selection:
        if item == "*":
            everything = True
            continue
        name = item.removeprefix("-")
        if name not in names:
            raise UnknownControllerError(name, list(known))
        wanted[names[name]] = not item.startswith("-")
    return [kind for name, kind in known.items() if wanted.get(name, everything)]


def _check_settings(known: Mapping[str, type[Controller]], settings: Mapping[str, Any]) -> None:
    declared = sorted(
        {field.name for kind in known.values() for field in attrs.fields(kind.options_type)}
    )
    for name in settings:
        if name not in declared:
            raise UnknownOptionError(name, declared)
    for kind in known.values():
        kind.options_type.from_settings(settings)
