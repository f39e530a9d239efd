"""What every controller is: informers that name keys, a queue of keys, workers that reconcile them.

Level-triggered: an event only says which key to look at. `reconcile` compares what is desired with
what is there, both from the informers' stores, and does the next step. It is called again for every
event, after every failure with back-off, and once for every object after a start, so that nothing
depends on having seen an event.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

import attrs

from k8sactors.actors import Context
from k8sactors.api.errors import StatusError
from k8sactors.api.kind import Kind
from k8sactors.api.scheme import Scheme
from k8sactors.client import (
    Client,
    EventRecorder,
    FencedError,
    InformerFactory,
    SharedInformer,
    WorkQueue,
    object_key,
)
from k8sactors.controllers.errors import ControllersError
from k8sactors.controllers.machinery.options import ControllerOptions

Object = dict[str, Any]
# Workers of a controller that has no option for their number.
CONCURRENT_SYNCS = 5


@attrs.define
class ManagerContext:
    """What a manager gives to its controllers for the time it leads."""

    ctx: Context
    client: Client
    informers: InformerFactory
    spawn: Callable[..., Any]
    log: Any
    # The kinds that are served, and their resources.
    scheme: Scheme
    # The manager's settings; each controller takes those that its options declare.
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    # Has the client of a ServiceAccount; None: all controllers share the manager's client.
    client_of: Callable[[str], Client] | None = None

    def client_for(self, service_account: str) -> Client:
        """The client of a controller, which is the ServiceAccount of that name."""
        return self.client if self.client_of is None else self.client_of(service_account)


class Controller(ABC):
    """Base of all controllers. A subclass sets `name`, asks for informers and reconciles keys.

    `name` is that of the real controller manager and `aliases` are the names before Kubernetes
    1.28. A subclass with settings sets `options_type` and narrows the type of `options`.
    """

    name: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    # The source of this controller's events.
    component: ClassVar[str] = ""
    # The ServiceAccount that it is, in the namespace kube-system; "": that of its name.
    service_account: ClassVar[str] = ""
    options_type: ClassVar[type[ControllerOptions]] = ControllerOptions
    options: Any

    def __init__(self, manager: ManagerContext) -> None:
        self.manager = manager
        self.ctx = manager.ctx
        self.client = manager.client_for(self.service_account or self.name)
        self.options = self.options_type.from_settings(manager.settings)
        self.log = manager.log.bind(controller=self.name)
        self.recorder = EventRecorder(self.client, self.component or self.name)
        self.queue = WorkQueue(manager.ctx)
        self.workers = CONCURRENT_SYNCS
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

    def kind_added(self, kind: Kind) -> None:
        """Custom resources of a kind are served from now on; `manager.scheme` has it."""
        del kind

    def kind_removed(self, kind: Kind) -> None:
        """Custom resources of a kind are served no longer."""
        del kind

    def start(self) -> None:
        """Start the workers; called once the informers have synced."""
        for _ in range(self.workers):
            self.manager.spawn(self._work)

    def stop(self) -> None:
        """Take no more keys."""
        self.queue.shut_down()

    @abstractmethod
    async def reconcile(self, key: str) -> None:
        """Do the next step for one key; StatusError means try again later."""

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
