"""What every controller is: informers that name keys, a queue of keys, workers that reconcile them.

Level-triggered: an event only says which key to look at. `reconcile` compares what is desired with
what is there, both from the informers' stores, and does the next step. It is called again for every
event, after every failure with back-off, and once for every object after a start, so that nothing
depends on having seen an event.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field

from k8sactors.api.errors import StatusError
from k8sactors.client import (
    Client,
    EventRecorder,
    FencedError,
    InformerFactory,
    SharedInformer,
    WorkQueue,
    object_key,
)
from k8sactors.client.environment import Context
from k8sactors.controllers.errors import ControllersError

Object = dict[str, Any]
SECOND_NS = 1_000_000_000


@define(frozen=True, slots=True)
class ControllerConfig:
    """The kube-controller-manager's options, under their names."""

    controllers: tuple[str, ...] = ("*",)
    concurrent_syncs: int = 5
    node_monitor_period_ns: int = 5 * SECOND_NS
    node_monitor_grace_period_ns: int = 50 * SECOND_NS
    node_startup_grace_period_ns: int = 60 * SECOND_NS
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    unhealthy_zone_threshold: float = 0.55
    large_cluster_size_threshold: int = 50
    terminated_pod_gc_threshold: int = 12_500
    cluster_cidr: str = "10.244.0.0/16"
    node_cidr_mask_size: int = 24
    # Without a CA of the API server this certificate is only a place holder that clients can mount.
    root_ca: str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@define(slots=True)
class ManagerContext:
    """What a manager gives to its controllers for the time it leads."""

    ctx: Context
    client: Client
    informers: InformerFactory
    spawn: Callable[..., Any]
    log: Any
    config: ControllerConfig = field(factory=ControllerConfig)

    def recorder(self, component: str) -> EventRecorder:
        """An event recorder that speaks for one controller."""
        return EventRecorder(self.client, component)


class Controller:
    """Base of all controllers. A subclass sets `name`, asks for informers and reconciles keys."""

    name = ""
    component = ""

    def __init__(self, manager: ManagerContext) -> None:
        self.manager = manager
        self.ctx = manager.ctx
        self.client = manager.client
        self.config = manager.config
        self.log = manager.log.bind(controller=self.name)
        self.recorder = manager.recorder(self.component or self.name)
        self.queue = WorkQueue(manager.ctx)
        self.workers = manager.config.concurrent_syncs
        self.reconciles = 0
        self.failures = 0

    def informer(self, resource: str) -> SharedInformer:
        """The manager's shared informer of a resource."""
        return self.manager.informers.informer(resource)

    def enqueue(self, obj: Object) -> None:
        """Have the object's key reconciled."""
        self.queue.add(object_key(obj))

    def watch_own(self, resource: str) -> SharedInformer:
        """Reconcile the key of every object of a resource that changes."""
        informer = self.informer(resource)
        informer.add_handler(
            on_add=self.enqueue,
            on_update=lambda _old, new: self.enqueue(new),
            on_delete=self.enqueue,
        )
        return informer

    def start(self) -> None:
        """Start the workers; called once the informers have synced."""
        for _ in range(self.workers):
            self.manager.spawn(self._work)

    def stop(self) -> None:
        """Take no more keys."""
        self.queue.shut_down()

    async def reconcile(self, key: str) -> None:
        """Do the next step for one key; StatusError means try again later."""
        raise NotImplementedError

    async def _work(self) -> None:
        queue = self.queue
        while (key := await queue.get()) is not None:
            self.reconciles += 1
            try:
                await self.reconcile(key)
            except FencedError:
                return  # no longer leading: everything stops
            except (StatusError, ControllersError) as error:
                self.failures += 1
                self.log.debug("reconcile failed", key=key, error=str(error))
                queue.add_rate_limited(key)
            else:
                queue.forget(key)
            finally:
                queue.done(key)

    def run_every(self, period_ns: int, step: Callable[[], Awaitable[None]]) -> None:
        """Run `step` in a task of its own, again `period_ns` after it has ended."""
        wake = WorkQueue(self.ctx)
        wake.add("tick")

        async def loop() -> None:
            while (key := await wake.get()) is not None:
                try:
                    await step()
                except FencedError:
                    return
                except StatusError as error:
                    self.failures += 1
                    self.log.debug("periodic step failed", error=error.message)
                wake.done(key)
                wake.add_after(key, period_ns)

        self.manager.spawn(loop)


def split_key(key: str) -> tuple[str | None, str]:
    """Namespace and name of a key."""
    namespace, slash, name = key.partition("/")
    return (namespace, name) if slash else (None, namespace)
