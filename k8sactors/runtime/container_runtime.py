"""ContainerRuntime: a simulated containerd, the container engine behind the CRI's messages.

The daemon may be killed without its containers, as containerd may: they live on in the host until
it loses power, and a restarted daemon takes them over. Images are on disk and survive a power loss
too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.actors import Actor, Connection, Message
from k8sactors.network import netns
from k8sactors.network.cni import BridgePlugin
from k8sactors.runtime import cri
from k8sactors.runtime.engine import Engine, RuntimeSettings
from k8sactors.runtime.image_registry import ImageRegistry
from k8sactors.runtime.run_log import RunLog
from k8sactors.runtime.sandboxes import Container, Respond
from k8sactors.runtime.streaming import RuntimeStreams

NAME, VERSION = "containerd", "2.1.4"
_IMAGES, _SHIMS, _NETWORK = "containerd/images", "containerd/shims", "cni/networks"
RUN_LOG = "containerd/runs"


class ContainerRuntime(Actor):
    """The runtime of one node.

    Args:
        node_name: name of the node.
        node_ip: address of pods on the host's network.
        settings: how long things take.
        registry: the programs that were given to images.
    """

    def __init__(
        self,
        node_name: str,
        node_ip: str,
        settings: RuntimeSettings | None = None,
        registry: ImageRegistry | None = None,
    ) -> None:
        self._registry = registry
        self._node_name = node_name
        self._node_ip = node_ip
        self._settings = settings or RuntimeSettings()
        self._subscribers: dict[int, tuple[Connection, int]] = {}

    def on_start(self) -> None:
        """Take over what a former life left, or begin with nothing but the images."""
        disk = self.ctx.host.disk
        boots = self.ctx.host.boots
        surviving = disk.get(_SHIMS)
        if surviving is not None and surviving[0] == boots:
            self.engine: Engine = surviving[1]
            self.engine.adopt(self.ctx, self._publish)
            self._streams = RuntimeStreams(self.engine)
            return
        images = disk.setdefault(_IMAGES, {})
        self.engine = Engine(
            self._node_name,
            self._node_ip,
            self.ctx,
            images,
            self._settings,
            self._publish,
            self._registry,
        )
        self._streams = RuntimeStreams(self.engine)
        self.engine.network_disk = disk.setdefault(_NETWORK, {})
        self.engine.log = disk.setdefault(RUN_LOG, RunLog())
        self.engine.log.booted(boots)
        disk[_SHIMS] = (boots, self.engine)

    def on_message(self, message: Message) -> None:
        """One call."""
        if message.kind == cri.GET_CONTAINER_EVENTS:
            if message.connection is not None:
                self._subscribers[message.connection.id] = (message.connection, message.id)
            return
        handler = _HANDLERS.get(message.kind)
        if handler is None:
            if self._streams.handles(message):
                return
            message.reply(cri.RESPONSE, ["Unimplemented", f"unknown method {message.kind}"])
            return

        def respond(code: str, body: Any) -> None:
            message.reply(cri.RESPONSE, [code, body])

        handler(self.engine, message.payload, respond)

    def on_disconnect(self, connection: Connection, reason: str) -> None:
        """A subscriber is gone."""
        del reason
        self._subscribers.pop(connection.id, None)

    def _publish(self, container: Container) -> None:
        if self._subscribers:
            item = container.status().to_wire()
            for connection, cause in self._subscribers.values():
                connection.send(cri.EVENT, item, cause)


# The methods, each a function of the engine, the request's fields and the way to answer.


def _status(engine: Engine, fields: list[Any], respond: Respond) -> None:
    del fields
    respond("", [True, engine.network is not None, NAME, VERSION])


def _update_runtime_config(engine: Engine, fields: list[Any], respond: Respond) -> None:
    if engine.network is None:
        engine.network = BridgePlugin(fields[0], engine.network_disk)
    respond("", None)


def _pull_image(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.pull_image(fields[0], respond)


def _image_status(engine: Engine, fields: list[Any], respond: Respond) -> None:
    respond("", engine.image_status(fields[0]))


def _run_sandbox(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.run_sandbox(cri.SandboxConfig.from_wire(fields), respond)


def _stop_sandbox(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.stop_sandbox(fields[0])
    respond("", None)


def _remove_sandbox(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.remove_sandbox(fields[0])
    respond("", None)


def _list_sandboxes(engine: Engine, fields: list[Any], respond: Respond) -> None:
    del fields
    respond("", [sandbox.status().to_wire() for sandbox in engine.sandboxes.values()])


def _create_container(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.create_container(fields[0], cri.ContainerConfig.from_wire(fields[1]), respond)


def _start_container(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.start_container(fields[0], respond)


def _stop_container(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.stop_container(fields[0], fields[1], respond)


def _remove_container(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.remove_container(fields[0])
    respond("", None)


def _container_status(engine: Engine, fields: list[Any], respond: Respond) -> None:
    container = engine.containers.get(fields[0])
    if container is None:
        respond("NotFound", f'container "{fields[0]}": not found')
    else:
        respond("", container.status().to_wire())


def _list_containers(engine: Engine, fields: list[Any], respond: Respond) -> None:
    del fields
    respond("", [container.status().to_wire() for container in engine.containers.values()])


def _update_resources(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.update_resources(fields[0], fields[1], fields[2], respond)


def _exec_sync(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.exec_sync(fields[0], fields[1], fields[2], respond)


def _connect(engine: Engine, fields: list[Any], respond: Respond) -> None:
    engine.connect(fields[0], fields[1], respond)


def _lookup(engine: Engine, fields: list[Any], respond: Respond) -> None:
    ip = engine.address_of(fields[0], fields[1])
    if ip is None:
        respond("NotFound", f"pod {fields[0]}/{fields[1]} has no sandbox on this node")
    else:
        respond("", ip)


def _inject(engine: Engine, fields: list[Any], respond: Respond) -> None:
    namespace, pod, container, action, argument = fields
    respond("", engine.inject(namespace, pod, container, action, argument))


_HANDLERS: dict[str, Callable[[Engine, list[Any], Respond], None]] = {
    cri.STATUS: _status,
    cri.UPDATE_RUNTIME_CONFIG: _update_runtime_config,
    cri.PULL_IMAGE: _pull_image,
    cri.IMAGE_STATUS: _image_status,
    cri.RUN_POD_SANDBOX: _run_sandbox,
    cri.STOP_POD_SANDBOX: _stop_sandbox,
    cri.REMOVE_POD_SANDBOX: _remove_sandbox,
    cri.LIST_POD_SANDBOX: _list_sandboxes,
    cri.CREATE_CONTAINER: _create_container,
    cri.START_CONTAINER: _start_container,
    cri.STOP_CONTAINER: _stop_container,
    cri.REMOVE_CONTAINER: _remove_container,
    cri.CONTAINER_STATUS: _container_status,
    cri.LIST_CONTAINERS: _list_containers,
    cri.EXEC_SYNC: _exec_sync,
    cri.UPDATE_CONTAINER_RESOURCES: _update_resources,
    netns.NETNS_CONNECT: _connect,
    netns.NETNS_LOOKUP: _lookup,
    cri.INJECT: _inject,
}
