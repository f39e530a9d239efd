"""kube-controller-manager: one actor that runs all controllers while it holds the Lease.

Several managers may run; the Lease `kube-system/kube-controller-manager` decides who works. The
others hold no informers and do nothing. A manager that loses the Lease stops everything at once:
its client is fenced by the host's clock, its tasks are cancelled, its caches are thrown away, and
it campaigns again under a new identity, as the real one does by leaving the process.
"""

from collections.abc import Sequence
from typing import Any

import trio

from k8sactors.actors import Actor
from k8sactors.client import Client, EventRecorder, InformerFactory, LeaderElector
from k8sactors.controllers.base import Controller, ControllerConfig, ManagerContext
from k8sactors.controllers.registry import select_controllers

LEASE_NAME = "kube-controller-manager"
USER = "system:kube-controller-manager"


class ControllerManager(Actor):
    """Runs the controllers that `config.controllers` selects against `servers`.

    `identity` names this manager in the Lease, with a suffix of its own for every campaign; by
    default it is the host's name.
    """

    def __init__(
        self,
        servers: Sequence[str],
        identity: str = "",
        config: ControllerConfig | None = None,
        *,
        leader_elect: bool = True,
    ) -> None:
        self._servers = list(servers)
        self._identity = identity
        self.config = config or ControllerConfig()
        self._controller_types = select_controllers(self.config.controllers)
        self._leader_elect = leader_elect
        self._elector: LeaderElector | None = None
        self._scope: trio.CancelScope | None = None
        self._client: Client | None = None
        self._informers: InformerFactory | None = None
        self.controllers: list[Controller] = []

    @property
    def is_leader(self) -> bool:
        """Whether this manager runs the controllers."""
        return self._scope is not None

    @property
    def informers(self) -> InformerFactory | None:
        """The informers, while this manager leads."""
        return self._informers

    def statistics(self) -> dict[str, dict[str, int]]:
        """Reconciliations, failures and waiting keys by controller."""
        return {
            controller.name: {
                "reconciles": controller.reconciles,
                "failures": controller.failures,
                "queued": len(controller.queue),
                "delayed": controller.queue.delayed,
            }
            for controller in self.controllers
        }

    def on_start(self) -> None:
        """Campaign for the Lease, or start at once where there is no election."""
        self._identity = self._identity or self.ctx.host.name
        if self._leader_elect:
            self._campaign()
        else:
            self._started_leading()

    def on_stop(self) -> None:
        """Stop the controllers and leave the Lease to others."""
        if self._elector is not None:
            elector, self._elector = self._elector, None
            elector.stop()
        else:
            self._stop_controllers()

    def _campaign(self) -> None:
        client = Client(self.ctx, self._servers, USER)
        identity = f"{self._identity}_{self.ctx.random.getrandbits(64):016x}"
        recorder = EventRecorder(client, LEASE_NAME)

        def report(leader: str) -> None:
            if leader == identity:
                lease = {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": LEASE_NAME, "namespace": "kube-system"},
                }
                recorder.event(lease, "Normal", "LeaderElection", f"{identity} became leader")

        self._elector = LeaderElector(
            client,
            lease_name=LEASE_NAME,
            identity=identity,
            on_started_leading=self._started_leading,
            on_stopped_leading=self._stopped_leading,
            on_new_leader=report,
        )
        self._elector.start()

    def _started_leading(self) -> None:
        self.ctx.log.info("leading", lease=LEASE_NAME)
        fence = self._elector.may_act if self._elector is not None else None
        self._client = Client(self.ctx, self._servers, USER, fence=fence)
        self._informers = InformerFactory(self._client)
        self._scope = trio.CancelScope()
        self.ctx.spawn_task(self._lead, self._client, self._informers, self._scope)

    def _stopped_leading(self) -> None:
        self.ctx.log.warning("no longer leading", lease=LEASE_NAME)
        self._stop_controllers()
        if self._elector is not None:
            elector, self._elector = self._elector, None
            elector.stop(release=False)
            self._campaign()

    def _stop_controllers(self) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.cancel()
        for controller in self.controllers:
            controller.stop()
        self.controllers = []
        if self._informers is not None:
            self._informers.stop()
            self._informers = None
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _lead(
        self, client: Client, informers: InformerFactory, scope: trio.CancelScope
    ) -> None:
        with scope:
            async with trio.open_nursery() as nursery:

                def spawn(async_fn: Any, *args: Any) -> None:
                    nursery.start_soon(async_fn, *args)

                manager = ManagerContext(
                    self.ctx, client, informers, spawn, self.ctx.log, self.config
                )
                self.controllers = [kind(manager) for kind in self._controller_types]
                informers.start()
                await informers.wait_synced()
                for controller in self.controllers:
                    controller.start()
                await trio.sleep_forever()
