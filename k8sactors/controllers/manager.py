"""kube-controller-manager: one actor that runs all controllers while it holds the Lease.

Several managers may run; the Lease `kube-system/kube-controller-manager` decides who works. The
others hold no informers and do nothing. A manager that loses the Lease stops everything at once:
its client is fenced by the host's clock, its tasks are cancelled, its caches are thrown away, and
it campaigns again under a new identity, as the real one does by leaving the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import trio

from k8sactors.actors import Actor, Message
from k8sactors.api.kind import Kind
from k8sactors.api.protocol import HEALTH, HEALTH_RESPONSE
from k8sactors.api.scheme import Scheme, builtin
from k8sactors.api.user import UserInfo, service_account_user
from k8sactors.apiextensions.definition import RESOURCE as DEFINITIONS
from k8sactors.client import Client, EventRecorder, InformerFactory, LeaderElector
from k8sactors.client.custom_resources import CustomResourceKinds
from k8sactors.controllers.machinery.controller import Controller, ManagerContext
from k8sactors.controllers.registry import select_controllers

NAMESPACE = "kube-system"
LEASE_NAME = "kube-controller-manager"
USER = UserInfo("system:kube-controller-manager")


@attrs.frozen
class ControllerManagerConfig:
    """Which controllers run, and with which settings.

    `controllers` is a selection as in `--controllers`. `settings` are by name; the controllers
    declare which there are, and their defaults.
    """

    controllers: tuple[str, ...] = ("*",)
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    # Whether each controller is a ServiceAccount of its own, with that account's rights alone.
    use_service_account_credentials: bool = False

    def select(self) -> list[type[Controller]]:
        """The selected controllers.

        Raises:
            ConfigurationError: a controller or setting is unknown, or a value has a wrong type.
        """
        return select_controllers(self.controllers, self.settings)


class ControllerManager(Actor):
    """Runs the controllers that `config` selects against `servers`.

    `scheme` has the kinds that the API servers serve. `identity` names this manager in the Lease,
    with a suffix of its own for every campaign; by default it is the host's name.
    """

    def __init__(
        self,
        servers: Sequence[str],
        identity: str = "",
        config: ControllerManagerConfig | None = None,
        *,
        scheme: Scheme | None = None,
        leader_elect: bool = True,
    ) -> None:
        self._servers = list(servers)
        self._identity = identity
        self.config = config or ControllerManagerConfig()
        self._controller_types = self.config.select()
        self._scheme = builtin() if scheme is None else scheme
        self._leader_elect = leader_elect
        self._elector: LeaderElector | None = None
        self._scope: trio.CancelScope | None = None
        self._client: Client | None = None
        self._clients: dict[str, Client] = {}
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

    def on_message(self, message: Message) -> None:
        """Tell that it lives, as the real one's `/healthz`."""
        if message.kind == HEALTH:
            message.reply(HEALTH_RESPONSE, [True, "ok"])

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

        def client_of(service_account: str) -> Client:
            client = self._clients.get(service_account)
            if client is None:
                user = service_account_user(NAMESPACE, service_account)
                client = Client(self.ctx, self._servers, user, fence=fence)
                self._clients[service_account] = client
            return client

        own = client_of if self.config.use_service_account_credentials else None
        self._informers = InformerFactory(self._client)
        self._scope = trio.CancelScope()
        self.ctx.spawn_task(self._lead, self._client, self._informers, self._scope, own)

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
        for client in self._clients.values():
            client.close()
        self._clients = {}

    def _kind_added(self, kind: Kind) -> None:
        for controller in self.controllers:
            controller.kind_added(kind)

    def _kind_removed(self, kind: Kind) -> None:
        for controller in self.controllers:
            controller.kind_removed(kind)

    async def _lead(
        self,
        client: Client,
        informers: InformerFactory,
        scope: trio.CancelScope,
        client_of: Callable[[str], Client] | None,
    ) -> None:
        with scope:
            async with trio.open_nursery() as nursery:

                def spawn(async_fn: Any, *args: Any) -> None:
                    nursery.start_soon(async_fn, *args)

                scheme = self._scheme.copy()
                manager = ManagerContext(
                    self.ctx,
                    client,
                    informers,
                    spawn,
                    self.ctx.log,
                    scheme,
                    self.config.settings,
                    client_of,
                )
                self.controllers = [kind(manager) for kind in self._controller_types]
                CustomResourceKinds(
                    informers.informer(DEFINITIONS),
                    scheme,
                    on_added=self._kind_added,
                    on_removed=self._kind_removed,
                )
                informers.start()
                await informers.wait_synced()
                for controller in self.controllers:
                    controller.start()
                await trio.sleep_forever()
