"""A profile: the plugins, with weights, that serve the pods of one `schedulerName`."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from k8sactors.scheduler.errors import ConfigurationError
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import Plugin

__all__ = ["PluginEntry", "PluginFactory", "Profile"]

PluginFactory = Callable[[Handle], Plugin]


@attrs.frozen
class PluginEntry:
    """A plugin of a profile; the weight counts for Score only."""

    name: str
    factory: PluginFactory
    weight: int = 1

    def __attrs_post_init__(self) -> None:
        if self.weight < 1:
            raise ConfigurationError(f"plugin {self.name}: weight must be positive")

    @classmethod
    def of(cls, plugin: type[Plugin], weight: int | None = None) -> PluginEntry:
        """The entry of a plugin's class, with the plugin's own weight unless one is given."""
        return cls(plugin.name, plugin, plugin.default_weight if weight is None else weight)


@attrs.frozen
class Profile:
    """Which plugins run, in this order."""

    scheduler_name: str = "default-scheduler"
    plugins: tuple[PluginEntry, ...] = ()

    def with_plugin(self, plugin: type[Plugin] | PluginEntry, weight: int | None = None) -> Profile:
        """This profile with one more plugin at the end, given as its class or as an entry."""
        entry = plugin if isinstance(plugin, PluginEntry) else PluginEntry.of(plugin, weight)
        if any(entry.name == present.name for present in self.plugins):
            raise ConfigurationError(f"plugin {entry.name} is already enabled")
        return attrs.evolve(self, plugins=(*self.plugins, entry))

    def without(self, name: str) -> Profile:
        """This profile with one plugin less."""
        self._require(name)
        return attrs.evolve(self, plugins=tuple(p for p in self.plugins if p.name != name))

    def with_weight(self, name: str, weight: int) -> Profile:
        """This profile with another weight for one plugin."""
        self._require(name)
        return attrs.evolve(
            self,
            plugins=tuple(
                attrs.evolve(p, weight=weight) if p.name == name else p for p in self.plugins
            ),
        )

    def named(self, scheduler_name: str) -> Profile:
        """The same plugins for the pods of another `schedulerName`."""
        return attrs.evolve(self, scheduler_name=scheduler_name)

    def _require(self, name: str) -> None:
        if all(p.name != name for p in self.plugins):
            known = ", ".join(p.name for p in self.plugins)
            raise ConfigurationError(f"no plugin {name} in profile {self.scheduler_name}: {known}")
