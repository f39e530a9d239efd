"""A cluster under test: the real one, with faults to order and requests to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import trio

from k8sactors import simulation
from k8sactors.api.scheme import Scheme
from k8sactors.api.user import ADMIN_USER
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.simulation import RealClock, VirtualClock
from k8sactors.testing.fault_helpers import FaultHandle, FaultHelpers
from k8sactors.testing.faults import Faults
from k8sactors.testing.faulty_server import FaultyAPIServer
from k8sactors.testing.request import ReceivedRequest

T = TypeVar("T")

# One host that is control plane and node at once.
ONE_NODE: Final = ClusterSpec(topology="single", workers=0, zones=1, control_plane_schedulable=True)


class K8sCluster(Cluster, FaultHelpers):
    """A cluster whose API servers do what a test orders (`FaultHelpers`)."""

    def __init__(self, spec: ClusterSpec = ONE_NODE) -> None:
        super().__init__(spec)
        self.faults = Faults()
        self._nursery: trio.Nursery

    def api_server(self, config: APIServerConfig, scheme: Scheme) -> FaultyAPIServer:
        """What runs as an API server."""
        return FaultyAPIServer(self.faults, config, scheme=scheme)

    def front(self, *, trust_plain: bool = True, control_plane: str | None = None) -> Any:
        """The application behind a port, whose answers may be lost."""
        from k8sactors.testing.faulty_front import FaultyFront  # noqa: PLC0415 - an extra

        trusted = ADMIN_USER if trust_plain else None
        return FaultyFront(self.client_of_front(control_plane), trusted, self.served_scheme)

    @property
    def requests(self) -> Sequence[ReceivedRequest]:
        """What the API servers have received, from all users, components among them."""
        return self.faults.requests

    @property
    def nursery(self) -> trio.Nursery:
        """For what is to run as long as the cluster does."""
        return self._nursery

    def order(self, kind: str, pattern: dict[str, Any], settings: dict[str, Any]) -> FaultHandle:
        """Order a fault."""
        return self.faults.order(kind, pattern, settings)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run while the block does, and what was started in `nursery` with it."""
        async with self, trio.open_nursery() as self._nursery:
            yield
            self._nursery.cancel_scope.cancel()


def run_with(
    cluster: K8sCluster,
    main: Callable[..., Awaitable[T]],
    *args: object,
    seed: int = 0,
    clock: VirtualClock | RealClock | None = None,
) -> T:
    """Run `main(*args)` while a cluster runs, as `trio.run` would without one.

    Raises:
        NotReadyError: the cluster did not come up.
    """

    async def run() -> T:
        async with cluster.running():
            return await main(*args)
        raise AssertionError("the block returns")

    return simulation.run(run, seed=seed, clock=clock)
