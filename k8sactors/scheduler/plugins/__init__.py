"""The plugins that come with the scheduler, one per file, and the default profile.

Every module of this package is loaded, and the plugin classes that it defines are part of the
default profile: adding a plugin is adding a file. Its place among the others and its weight are
attributes of its class.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from k8sactors.scheduler.framework.interfaces import Plugin
from k8sactors.scheduler.framework.profile import PluginEntry, Profile

__all__ = ["default_profile", "load_plugins"]


def load_plugins() -> list[type[Plugin]]:
    """The plugin classes of this package, in the order of the default profile."""
    names = [found.name for found in pkgutil.iter_modules(__path__)]
    plugins = [plugin for name in names for plugin in _defined_in(f"{__name__}.{name}")]
    return sorted(plugins, key=lambda plugin: (plugin.default_position, plugin.name))


def _defined_in(module_name: str) -> list[type[Plugin]]:
    return [
        value
        for value in vars(import_module(module_name)).values()
        if isinstance(value, type) and issubclass(value, Plugin) and value.__module__ == module_name
    ]


def default_profile() -> Profile:
    """The plugins and weights of kube-scheduler's default profile."""
    return Profile(plugins=tuple(PluginEntry.of(plugin) for plugin in load_plugins()))
