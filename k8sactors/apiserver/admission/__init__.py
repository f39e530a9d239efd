"""Admission plugins: what is added to objects, or refused, before they are stored.

One plugin per file. A file in this folder is found by itself; its class says where in the chain it
stands (`Plugin.order`, the real server's order) and which writes it sees.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Sequence

from k8sactors.apiserver.admission_chain import Plugin
from k8sactors.apiserver.errors import UnknownPluginError

__all__ = ["plugins", "selected"]


def plugins() -> list[type[Plugin]]:
    """The plugin classes in the files of this folder, in the order of the chain."""
    found: list[type[Plugin]] = []
    for file in sorted(pkgutil.iter_modules(__path__), key=lambda file: file.name):
        module = importlib.import_module(f"{__name__}.{file.name}")
        found.extend(
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Plugin)
            and value.__module__ == module.__name__
        )
    return sorted(found, key=lambda plugin: (plugin.order, plugin.__name__))


def selected(
    available: Sequence[type[Plugin]], enabled: Collection[str], disabled: Collection[str]
) -> list[type[Plugin]]:
    """The plugins that run: those that are on by default or enabled, and not disabled.

    Raises:
        UnknownPluginError: a name is not that of a plugin, or is in both lists.
    """
    known = {plugin.plugin_name() for plugin in available}
    for flag, names in (("enable", enabled), ("disable", disabled)):
        for name in names:
            if name not in known:
                raise UnknownPluginError(f'{flag}-admission-plugins plugin "{name}" is unknown')
    both = [name for name in enabled if name in disabled]
    if both:
        raise UnknownPluginError(
            f"[{' '.join(both)}] in enable-admission-plugins and disable-admission-plugins "
            "overlapped"
        )
    return [
        plugin
        for plugin in available
        if (plugin.default or plugin.plugin_name() in enabled)
        and plugin.plugin_name() not in disabled
    ]
