"""The container engine: sandboxes, containers and images of one node, on time given from outside.

This is the part of a runtime that knows nothing of messages. Each operation gets a `respond(code,
body)` callback and calls it once, perhaps later: pulls take as long as their bytes need, starts and
stops as long as the settings and the programs say. An empty code is success; the others are gRPC
status names.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any

import attrs

from k8sactors.network import netns
from k8sactors.network.cni import CNIPlugin
from k8sactors.network.errors import AddressPoolExhaustedError
from k8sactors.runtime import cri, exec_sync
from k8sactors.runtime.container_process import ContainerProcess, Surroundings
from k8sactors.runtime.image_registry import ImageRegistry
from k8sactors.runtime.images import Behaviour, image_id, lookup, normalise
from k8sactors.runtime.programs import (
    NEVER_NS,
    is_interactive,
    program_of,
)
from k8sactors.runtime.run_log import RunLog
from k8sactors.runtime.sandboxes import Container, Respond, Sandbox
from k8sactors.runtime.termination_message import may_have_message, message_of
from k8sactors.simulation import MILLISECOND, SECOND, Clock

_KILLED, _TERMINATED_BY_OOM = 137, "OOMKilled"
REFUSED, TIMED_OUT, NO_ROUTE = "connection refused", "i/o timeout", "no route to host"
# Logs of removed containers that a node keeps.
REMOVED_LOGS = 200


@attrs.frozen
class RuntimeSettings:
    """How long things take; zero means at once."""

    sandbox_ns: int = 100 * MILLISECOND
    create_ns: int = 20 * MILLISECOND
    start_ns: int = 30 * MILLISECOND
    pull_latency_ns: int = 200 * MILLISECOND
    pull_bytes_per_second: int = 100 * (1 << 20)

    def pull_ns(self, size_bytes: int) -> int:
        """How long a pull of this size takes."""
        if not self.pull_bytes_per_second:
            return 0
        return self.pull_latency_ns + size_bytes * SECOND // self.pull_bytes_per_second


class Engine:
    """Everything that runs on a node.

    Args:
        node_name: goes into identities, so that those of two nodes differ.
        node_ip: the address of pods on the host's network.
        clock: time and timers.
        images: the local image store, name to size; outlives the engine.
        settings: how long things take.
        on_exit: told each container whose process has ended.
        registry: the programs that were given to images.
    """

    def __init__(
        self,
        node_name: str,
        node_ip: str,
        clock: Clock,
        images: MutableMapping[str, int],
        settings: RuntimeSettings,
        on_exit: Callable[[Container], None],
        registry: ImageRegistry | None = None,
    ) -> None:
        self._registry = ImageRegistry() if registry is None else registry
        self._removed: OrderedDict[str, Container] = OrderedDict()
        self._identity = f"{node_name}/{clock.wall_ns()}"
        self._node_ip = node_ip
        self._clock = clock
        self._settings = settings
        self._on_exit = on_exit
        self._serial = 0
        self._pulls: dict[str, list[Respond]] = {}
        self._by_ip: dict[str, dict[str, Sandbox]] = {}
        self.images = images
        self.network: CNIPlugin | None = None
        self.network_disk: dict[str, int] = {}
        self.log = RunLog()
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}

    def _new_id(self) -> str:
        self._serial += 1
        return hashlib.sha256(f"{self._identity}/{self._serial}".encode()).hexdigest()

    def _later(self, delay_ns: int, callback: Callable[[], None]) -> None:
        if delay_ns:
            self._clock.after(delay_ns, callback)
        else:
            callback()

    # Images

    def pull_image(self, image: str, respond: Respond) -> None:
        """Make an image local; pulls of the same image that overlap are one."""
        name = normalise(image)
        waiting = self._pulls.get(name)
        if waiting is not None:
            waiting.append(respond)
            return
        entry = lookup(name)
        self._pulls[name] = [respond]
        size = 0 if entry.behaviour is Behaviour.MISSING else entry.size_bytes
        transfer = 0 if name in self.images else size
        self._later(self._settings.pull_ns(transfer), lambda: self._pulled(name, size))

    def _pulled(self, name: str, size_bytes: int) -> None:
        waiting = self._pulls.pop(name)
        if size_bytes:
            self.images[name] = size_bytes
        for respond in waiting:
            if size_bytes:
                respond("", [image_id(name), size_bytes])
            else:
                reference = f'failed to resolve reference "{name}": {name}: not found'
                text = f'failed to pull and unpack image "{name}": {reference}'
                respond("NotFound", text)

    def image_status(self, image: str) -> list[Any] | None:
        """Identity and size of a local image."""
        size = self.images.get(normalise(image))
        return None if size is None else [image_id(image), size]

    # Sandboxes

    def run_sandbox(self, config: cri.SandboxConfig, respond: Respond) -> None:
        """Create a pod's network namespace and give it an address."""
        self._later(self._settings.sandbox_ns, lambda: self._run_sandbox(config, respond))

    def _run_sandbox(self, config: cri.SandboxConfig, respond: Respond) -> None:
        sandbox_id = self._new_id()
        ip = self._node_ip
        if not config.host_network:
            failure = f'failed to setup network for sandbox "{sandbox_id}": '
            if self.network is None:
                respond("Unknown", f"{failure}cni plugin not initialized")
                return
            try:
                ip = self.network.add(sandbox_id).ip
            except AddressPoolExhaustedError as error:
                respond("Unknown", f'{failure}plugin type="bridge" failed (add): {error}')
                return
        sandbox = Sandbox(sandbox_id, config, cri.SANDBOX_READY, ip, self._clock.wall_ns())
        self.sandboxes[sandbox_id] = sandbox
        self._by_ip.setdefault(ip, {})[sandbox_id] = sandbox
        respond("", [sandbox_id, ip])

    def stop_sandbox(self, sandbox_id: str) -> None:
        """Kill what still runs in a sandbox and free its address; may be repeated."""
        sandbox = self.sandboxes.get(sandbox_id)
        if sandbox is None or sandbox.state == cri.SANDBOX_NOTREADY:
            return
        sandbox.state = cri.SANDBOX_NOTREADY
        for container in list(sandbox.containers.values()):
            if container.state == cri.RUNNING:
                self.end(container, _KILLED, "Error")
        peers = self._by_ip[sandbox.ip]
        del peers[sandbox_id]
        if not peers:
            del self._by_ip[sandbox.ip]
        if self.network is not None and not sandbox.config.host_network:
            self.network.delete(sandbox_id)

    def remove_sandbox(self, sandbox_id: str) -> None:
        """Forget a sandbox and its containers; may be repeated."""
        self.stop_sandbox(sandbox_id)
        sandbox = self.sandboxes.pop(sandbox_id, None)
        if sandbox is not None:
            for container_id in sandbox.containers:
                self._keep_log(self.containers.pop(container_id))

    # Containers

    def create_container(
        self, sandbox_id: str, config: cri.ContainerConfig, respond: Respond
    ) -> None:
        """Make a container in a sandbox from a local image."""

        def create() -> None:
            sandbox = self.sandboxes.get(sandbox_id)
            if sandbox is None or sandbox.state != cri.SANDBOX_READY:
                respond("NotFound", f'failed to find sandbox id "{sandbox_id}"')
            elif normalise(config.image) not in self.images:
                respond("NotFound", f'failed to resolve image "{config.image}": not found')
            else:
                program = program_of(config, sandbox.config.annotations)
                ends_by_itself = self._ends_by_itself(config)
                if ends_by_itself:
                    program = attrs.evolve(program, run_ns=None)
                container = Container(
                    self._new_id(), sandbox, config, program, self._clock.wall_ns()
                )
                container.ends_by_itself = ends_by_itself
                self.containers[container.id] = container
                sandbox.containers[container.id] = container
                respond("", container.id)

        self._later(self._settings.create_ns, create)

    def start_container(self, container_id: str, respond: Respond) -> None:
        """Run a created container's program."""

        def start() -> None:
            container = self.containers.get(container_id)
            if container is None or container.sandbox.state != cri.SANDBOX_READY:
                respond("NotFound", f'container "{container_id}": not found')
                return
            program = container.program
            container.state = cri.RUNNING
            container.started_at_ns = self._clock.wall_ns()
            now_ns = self._clock.now_ns()
            container.listens_from_ns = now_ns + program.warmup_ns
            config = container.sandbox.config
            self.log.started(container.id, config.namespace, config.name, now_ns)
            respond("", container.status().to_wire())
            if program.run_ns is not None:
                self._end_in(container, program.run_ns, program.exit_code)
            if container.ends_by_itself:
                self.inside(container)

        self._later(self._settings.start_ns, start)

    def stop_container(self, container_id: str, timeout_ns: int, respond: Respond) -> None:
        """Ask a container's process to end (SIGTERM), after the timeout make it (SIGKILL)."""
        container = self.containers.get(container_id)
        if container is None:
            respond("", None)
            return
        if container.state == cri.CREATED:
            self.end(container, _KILLED, "Error")
        if container.state == cri.EXITED:
            respond("", container.status().to_wire())
            return
        container.stop_waiters.append(respond)
        program = container.program
        stop_ns = NEVER_NS if program.stop_ns is None or container.hung else program.stop_ns
        exit_code = program.stop_exit_code
        if program.killable and stop_ns > timeout_ns:
            stop_ns, exit_code = timeout_ns, _KILLED
        self._end_in(container, stop_ns, exit_code)

    def _end_in(self, container: Container, delay_ns: int, exit_code: int) -> None:
        """The process will end then, unless it ends earlier."""
        end_at_ns = self._clock.now_ns() + delay_ns
        if delay_ns < NEVER_NS and end_at_ns < container.end_at_ns:
            container.end_at_ns = end_at_ns
            container.end_exit_code = exit_code
            self._arm(container)

    def _arm(self, container: Container) -> None:
        if container.end_timer is not None:
            container.end_timer.cancel()
        delay_ns = max(container.end_at_ns - self._clock.now_ns(), 0)
        container.end_timer = self._clock.after(
            delay_ns, lambda: self.end(container, container.end_exit_code, "")
        )

    def adopt(self, clock: Clock, on_exit: Callable[[Container], None]) -> None:
        """Continue under a new daemon: processes outlive the one that started them.

        Operations that were under way are forgotten with the connections that asked for them.
        """
        self._clock = clock
        self._on_exit = on_exit
        self._pulls.clear()
        for container in self.containers.values():
            container.stop_waiters.clear()
            if container.state == cri.RUNNING and container.end_at_ns < NEVER_NS:
                self._arm(container)

    def end(self, container: Container, exit_code: int, reason: str) -> None:
        """The container's process is gone."""
        if container.state == cri.EXITED:
            return
        if container.end_timer is not None:
            container.end_timer.cancel()
            container.end_timer = None
        container.state = cri.EXITED
        self.log.ended(container.id, self._clock.now_ns())
        container.finished_at_ns = self._clock.wall_ns()
        container.exit_code = exit_code
        container.reason = reason or ("Error" if exit_code else "Completed")
        if container.inside is not None:
            container.inside.end(container.finished_at_ns)
        if container.started_at_ns and may_have_message(container):
            container.message = message_of(self.inside(container), exit_code)
        waiters, container.stop_waiters = container.stop_waiters, []
        for respond in waiters:
            respond("", container.status().to_wire())
        self._on_exit(container)

    def remove_container(self, container_id: str) -> None:
        """Forget a container; a running one is killed first."""
        container = self.containers.pop(container_id, None)
        if container is not None:
            self.end(container, _KILLED, "Error")
            del container.sandbox.containers[container_id]
            self._keep_log(container)

    def update_resources(
        self, container_id: str, cpu_milli: int, memory_bytes: int, respond: Respond
    ) -> None:
        """Set other limits while a container runs; 0: none."""
        container = self.containers.get(container_id)
        if container is None:
            respond("NotFound", f'container "{container_id}": not found')
            return
        container.config = attrs.evolve(
            container.config, cpu_limit_milli=cpu_milli, memory_limit_bytes=memory_bytes
        )
        respond("", None)

    def exec_sync(
        self, container_id: str, command: list[str], timeout_ns: int, respond: Respond
    ) -> None:
        """Run a command in a running container."""
        container = self.containers.get(container_id)
        if container is None or container.state != cri.RUNNING:
            respond("NotFound", "container is not running")
        elif container.hung:
            respond("DeadlineExceeded", "command timed out")
        else:
            inside = self.inside(container)
            if exec_sync.can_run(command, inside):
                exec_sync.run(command, inside, self._clock, timeout_ns, respond)
            else:
                exec_sync.assumed(command, respond)

    # What is inside of a container

    def _ends_by_itself(self, config: cri.ContainerConfig) -> bool:
        """Whether to run its process from the start, and end when that does."""
        if not config.command and self._registry.program(config.image) is not None:
            return True
        return is_interactive(config) or self._registry.is_command(config.command)

    def inside(self, container: Container) -> ContainerProcess:
        """What is inside of a container that was started, up to now or to its end."""
        inside = container.inside
        if inside is None:
            config, sandbox = container.config, container.sandbox
            where = Surroundings(
                sandbox.config.namespace, sandbox.config.name, sandbox.ip, container.started_at_ns
            )
            inside = ContainerProcess(config, where, self._registry, self._current_clock)
            container.inside = inside
            main = inside.start_main()
            if container.state == cri.EXITED:
                inside.end(container.finished_at_ns)
                return inside
            if container.ends_by_itself:
                main.when_ended(lambda exit_code: self.end(container, exit_code, ""))
        inside.catch_up()
        return inside

    def _current_clock(self) -> Clock:
        return self._clock

    def _keep_log(self, container: Container) -> None:
        """A container is removed: its log stays for a while, as a file would."""
        if container.started_at_ns:
            self._removed[container.id] = container
            if len(self._removed) > REMOVED_LOGS:
                self._removed.popitem(last=False)

    def log_of(self, container_id: str) -> ContainerProcess | None:
        """What holds a container's log; None if it was never started, or removed long ago."""
        container = self.containers.get(container_id) or self._removed.get(container_id)
        if container is None or not container.started_at_ns:
            return None
        return self.inside(container)

    # The network namespaces' inside

    def connect(self, ip: str, port: int, respond: Respond) -> None:
        """Open a connection to an address of this node's pods and read the answer."""
        sandboxes = self._by_ip.get(ip)
        if not sandboxes:
            respond("NoRoute", f"no pod has {ip}")
            return
        found, problem = self._listening(list(sandboxes.values()), port)
        if found is None:
            respond("Timeout" if problem == TIMED_OUT else "Refused", problem)
            return
        config, container = found.sandbox.config, found.config
        text = f"{config.name} ({container.name})"
        answer = netns.Answer(config.namespace, config.name, container.name, container.image, text)
        respond("", answer.to_wire())

    def listener(self, ip: str, port: int, sandbox_id: str = "") -> tuple[Container | None, str]:
        """The container that takes a connection to an address, or why there is none.

        With a sandbox, the connection comes from inside of it.
        """
        sandboxes = list(self._by_ip.get(ip, {}).values())
        if sandbox_id:
            sandboxes = [each for each in sandboxes if each.id == sandbox_id]
        if not sandboxes:
            return None, NO_ROUTE
        return self._listening(sandboxes, port)

    def _listening(self, sandboxes: list[Sandbox], port: int) -> tuple[Container | None, str]:
        now_ns = self._clock.now_ns()
        for sandbox in sandboxes:
            for container in sandbox.containers.values():
                if container.state != cri.RUNNING:
                    continue
                inside = container.inside
                listens = inside is not None and port in inside.machine.listeners
                if not listens and port not in container.program.ports:
                    continue
                if container.hung:
                    return None, TIMED_OUT
                if now_ns >= container.listens_from_ns:
                    return container, ""
        return None, REFUSED

    def address_of(self, namespace: str, name: str) -> str | None:
        """The address of a pod that has a sandbox here, of the newest one with that name."""
        for sandbox in reversed(self.sandboxes.values()):
            config = sandbox.config
            ready = sandbox.state == cri.SANDBOX_READY
            if ready and config.name == name and config.namespace == namespace:
                return sandbox.ip
        return None

    def inject(
        self, namespace: str, pod: str, container_name: str | None, action: str, argument: int
    ) -> int:
        """Do something to running containers of a pod: how many it was done to.

        Actions: `kill` (ends with exit code `argument`, or 137), `oom`, `hang` (neither answers nor
        stops) and `recover`.
        """
        count = 0
        for container in list(self.containers.values()):
            config = container.sandbox.config
            if (config.namespace, config.name, container.state) != (namespace, pod, cri.RUNNING):
                continue
            if container_name is not None and container_name != container.config.name:
                continue
            count += 1
            if action == "kill":
                self.end(container, argument or _KILLED, "")
            elif action == "oom":
                self.end(container, _KILLED, _TERMINATED_BY_OOM)
            else:
                container.hung = action == "hang"
        return count
