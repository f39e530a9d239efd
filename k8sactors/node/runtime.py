"""ContainerRuntime: a simulated containerd, the container engine behind the CRI's messages.

The daemon may be killed without its containers, as containerd may: they live on in the host until
it loses power, and a restarted daemon takes them over.  Images are on disk and survive a power loss
too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.actors import Actor, Connection, Message
from k8sactors.node import cri
from k8sactors.node.cni import BridgePlugin
from k8sactors.node.engine import Container, Engine, Respond, RuntimeSettings

NAME, VERSION = "containerd", "2.1.4"
_IMAGES, _SHIMS = "containerd/images", "containerd/shims"


class ContainerRuntime(Actor):
    """The runtime of one node.

    Args:
        node_name: name of the node.
        node_ip: address of pods on the host's network.
        settings: how long things take.
    """

    def __init__(
        self, node_name: str, node_ip: str, settings: RuntimeSettings | None = None
    ) -> None:
        self._node_name = node_name
        self._node_ip = node_ip
        self._settings = settings or RuntimeSettings()
        self._subscribers: dict[int, tuple[Connection, int]] = {}
        self._handlers: dict[str, Callable[[list[Any], Respond], None]] = {
            cri.STATUS: self._status,
            cri.UPDATE_RUNTIME_CONFIG: self._update_runtime_config,
            cri.PULL_IMAGE: lambda fields, respond: self.engine.pull_image(fields[0], respond),
            cri.IMAGE_STATUS: lambda fields, respond: respond(
                "", self.engine.image_status(fields[0])
            ),
            cri.RUN_POD_SANDBOX: lambda fields, respond: self.engine.run_sandbox(
                cri.SandboxConfig.from_wire(fields), respond
            ),
            cri.STOP_POD_SANDBOX: self._stop_sandbox,
            cri.REMOVE_POD_SANDBOX: self._remove_sandbox,
            cri.LIST_POD_SANDBOX: self._list_sandboxes,
            cri.CREATE_CONTAINER: lambda fields, respond: self.engine.create_container(
                fields[0], cri.ContainerConfig.from_wire(fields[1]), respond
            ),
            cri.START_CONTAINER: lambda fields, respond: self.engine.start_container(
                fields[0], respond
            ),
            cri.STOP_CONTAINER: lambda fields, respond: self.engine.stop_container(
                fields[0], fields[1], respond
            ),
            cri.REMOVE_CONTAINER: self._remove_container,
            cri.CONTAINER_STATUS: self._container_status,
            cri.LIST_CONTAINERS: self._list_containers,
            cri.EXEC_SYNC: lambda fields, respond: self.engine.exec_sync(
                fields[0], fields[1], respond
            ),
            cri.NETNS_CONNECT: lambda fields, respond: self.engine.connect(
                fields[0], fields[1], respond
            ),
            cri.NETNS_LOOKUP: self._lookup,
            cri.INJECT: self._inject,
        }

    def on_start(self) -> None:
        """Take over what a former life left, or begin with nothing but the images."""
        disk = self.ctx.host.disk
        boots = self.ctx.host.boots
        surviving = disk.get(_SHIMS)
        if surviving is not None and surviving[0] == boots:
            self.engine: Engine = surviving[1]
            self.engine.adopt(self.ctx, self._publish)
            return
        images = disk.setdefault(_IMAGES, {})
        self.engine = Engine(
            self._node_name, self._node_ip, self.ctx, images, self._settings, self._publish
        )
        disk[_SHIMS] = (boots, self.engine)

    def on_message(self, message: Message) -> None:
        """One call."""
        if message.kind == cri.GET_CONTAINER_EVENTS:
            if message.connection is not None:
                self._subscribers[message.connection.id] = (message.connection, message.id)
            return
        handler = self._handlers.get(message.kind)
        if handler is None:
            message.reply(cri.RESPONSE, ["Unimplemented", f"unknown method {message.kind}"])
            return
        handler(message.payload, lambda code, body: message.reply(cri.RESPONSE, [code, body]))

    def on_disconnect(self, connection: Connection, reason: str) -> None:
        """A subscriber is gone."""
        del reason
        self._subscribers.pop(connection.id, None)

    def _publish(self, container: Container) -> None:
        if self._subscribers:
            item = container.status().to_wire()
            for connection, cause in self._subscribers.values():
                connection.send(cri.EVENT, item, cause)

    def _status(self, fields: list[Any], respond: Respond) -> None:
        del fields
        respond("", [True, self.engine.network is not None, NAME, VERSION])

    def _update_runtime_config(self, fields: list[Any], respond: Respond) -> None:
        if self.engine.network is None:
            self.engine.network = BridgePlugin(fields[0])
        respond("", None)

    def _stop_sandbox(self, fields: list[Any], respond: Respond) -> None:
        self.engine.stop_sandbox(fields[0])
        respond("", None)

    def _remove_sandbox(self, fields: list[Any], respond: Respond) -> None:
        self.engine.remove_sandbox(fields[0])
        respond("", None)

    def _list_sandboxes(self, fields: list[Any], respond: Respond) -> None:
        del fields
        respond("", [sandbox.status().to_wire() for sandbox in self.engine.sandboxes.values()])

    def _remove_container(self, fields: list[Any], respond: Respond) -> None:
        self.engine.remove_container(fields[0])
        respond("", None)

    def _container_status(self, fields: list[Any], respond: Respond) -> None:
        container = self.engine.containers.get(fields[0])
        if container is None:
            respond("NotFound", f'container "{fields[0]}": not found')
        else:
            respond("", container.status().to_wire())

    def _list_containers(self, fields: list[Any], respond: Respond) -> None:
        del fields
        respond("", [container.status().to_wire() for container in self.engine.containers.values()])

    def _lookup(self, fields: list[Any], respond: Respond) -> None:
        ip = self.engine.address_of(fields[0], fields[1])
        if ip is None:
            respond("NotFound", f"pod {fields[0]}/{fields[1]} has no sandbox on this node")
        else:
            respond("", ip)

    def _inject(self, fields: list[Any], respond: Respond) -> None:
        namespace, pod, container, action, argument = fields
        respond("", self.engine.inject(namespace, pod, container, action, argument))
