"""What the runner needs of a cluster: as little as possible, so that tests can do without one.

`k8sactors.cluster.Cluster` is such a world.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from k8sactors.topology import ClusterSpec

Object = dict[str, Any]


class HostLike(Protocol):
    """A machine (`k8sactors.fabric.Host`)."""

    name: str
    zone: str
    up: bool
    slots: Any

    @property
    def paused(self) -> bool:
        """Whether it is frozen."""

    def kill(self) -> None:
        """Power off."""

    def restart(self) -> None:
        """Power on."""

    def pause(self) -> None:
        """Freeze."""

    def resume(self) -> None:
        """Go on."""

    def kill_actor(self, name: str) -> None:
        """End one process."""

    def restart_actor(self, name: str) -> None:
        """Start one process."""


class NetworkLike(Protocol):
    """The network (`k8sactors.fabric.Network`)."""

    crashes: list[Any]

    def cut(self, a: str, b: str, *, one_way: bool = False) -> None:
        """Cut a link."""

    def mend(self, a: str, b: str) -> None:
        """Undo a cut."""

    def partition(self, groups: Sequence[Iterable[str]]) -> None:
        """Cut all links between groups."""

    def degrade(
        self,
        a: str,
        b: str,
        *,
        delay_ns: int = 0,
        jitter_ns: int = 0,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
    ) -> None:
        """Make a link worse."""

    def heal(self) -> None:
        """Undo everything."""


class ClientLike(Protocol):
    """The administrator's API client (`k8sactors.client.Client`); raises StatusError."""

    ctx: Any

    async def request(
        self,
        verb: str,
        resource: str,
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        body: Any = None,
        options: Mapping[str, Any] | None = None,
        timeout_ns: int = 30_000_000_000,
    ) -> Object:
        """One request and its answer."""


class World(Protocol):
    """A running cluster."""

    spec: ClusterSpec

    @property
    def client(self) -> ClientLike:
        """The administrator's client."""

    @property
    def network(self) -> NetworkLike:
        """The network."""

    @property
    def hosts(self) -> Mapping[str, HostLike]:
        """Every host by name."""

    def store_leader(self) -> tuple[str, int] | None:
        """Host and term of the store's leader."""

    async def apply(self, manifests: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
        """Apply objects; returns what became of each."""

    async def add_worker(self, zone: str | None = None) -> str:
        """Add a worker host; returns its name."""


WorldFactory = Callable[[ClusterSpec], Any]
"""Makes a world that is entered with `async with`."""
