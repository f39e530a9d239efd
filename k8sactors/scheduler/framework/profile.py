"""A profile: the plugins, with weights, that serve the pods of one `schedulerName`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from k8sactors.scheduler.errors import ConfigurationError
from k8sactors.scheduler.framework.interfaces import Plugin

if TYPE_CHECKING:
    from k8sactors.scheduler.handle import Handle

__all__ = ["PluginEntry", "PluginFactory", "Profile"]

PluginFactory = Callable[["Handle"], Plugin]


@attrs.frozen
class PluginEntry:
    """A plugin of a profile; the weight counts for Score only."""

    name: str
    factory: PluginFactory
    weight: int = 1

    def __attrs_post_init__(self) -> None:
        if self.weight < 1:
            raise ConfigurationError(f"plugin {self.name}: weight must be positive")


@attrs.frozen
class Profile:
    """Which plugins run, in this order."""

    scheduler_name: str = "default-scheduler"
    plugins: tuple[PluginEntry, ...] = ()

    def with_plugin(self, factory: type[Plugin] | PluginEntry, weight: int = 1) -> "Profile":
        """This profile with one more plugin at the end, given as its class or as an entry."""
        entry = factory if isinstance(factory, PluginEntry) else _entry_of(factory, weight)
        if any(entry.name == present.name for present in self.plugins):
            raise ConfigurationError(f"plugin {entry.name} is already enabled")
        return attrs.evolve(self, plugins=(*self.plugins, entry))

    def without(self, name: str) -> "Profile":
        """This profile with one plugin less."""
        self._require(name)
        return attrs.evolve(self, plugins=tuple(p for p in self.plugins if p.name != name))

    def with_weight(self, name: str, weight: int) -> "Profile":
        """This profile with another weight for one plugin."""
        self._require(name)
        return attrs.evolve(
            self,
            plugins=tuple(
                attrs.evolve(p, weight=weight) if p.name == name else p for p in self.plugins
            ),
        )

    def named(self, scheduler_name: str) -> "Profile":
        """The same plugins for the pods of another `schedulerName`."""
        return attrs.evolve(self, scheduler_name=scheduler_name)

    def _require(self, name: str) -> None:
        if all(p.name != name for p in self.plugins):
            known = ", ".join(p.name for p in self.plugins)
            raise ConfigurationError(f"no plugin {name} in profile {self.scheduler_name}: {known}")


def _entry_of(plugin: type[Plugin], weight: int) -> PluginEntry:
    return PluginEntry(plugin.name, lambda _handle: plugin(), weight)
