"""What is inside of a container: its processes, files and log, made with their first reader.

Nothing here decides when an unregistered program ends: `programs.Program` does, which knows it
without running anything. What is run here shows what such a program prints and does meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

import attrs

from k8sactors.runtime.commands import userland
from k8sactors.runtime.commands.system import run_shell
from k8sactors.runtime.container_log import STDERR, STDOUT, ContainerLog
from k8sactors.runtime.cri import ContainerConfig
from k8sactors.runtime.filesystem import Filesystem
from k8sactors.runtime.image_registry import ImageRegistry
from k8sactors.runtime.images import Behaviour, lookup, normalise
from k8sactors.runtime.pipes import Output, Pipe, Sink
from k8sactors.runtime.process import (
    NOT_FOUND_CODE,
    Machine,
    MachineClock,
    Process,
    Program,
    Terminal,
    environment,
)
from k8sactors.runtime.servers import DefaultServer, server_image
from k8sactors.runtime.tasks import Processes, Task, finish
from k8sactors.runtime.terminal import TerminalSink
from k8sactors.simulation import Clock, Timer

SHELLS: Final = frozenset({"sh", "bash", "ash", "dash"})
# Images without a userland: nothing can be executed in them.
_BARE: Final = frozenset({"pause", "etcd", "kube-apiserver", "kube-scheduler"})


@attrs.frozen
class Surroundings:
    """Where a container is: what its programs can find out."""

    namespace: str
    pod: str
    ip: str
    start_ns: int


class ContainerProcess:
    """The inside of one container.

    `clock` gives the node's clock, which changes with the daemon.
    """

    def __init__(
        self,
        config: ContainerConfig,
        where: Surroundings,
        images: ImageRegistry,
        clock: Callable[[], Clock],
    ) -> None:
        self.log = ContainerLog()
        self.config = config
        self.stdin = Pipe()
        self.main: Task | None = None
        self.terminal = Terminal() if config.tty else None
        self._where = where
        self._images = images
        self._clock = clock
        self._tasks = Processes(where.start_ns)
        self._timer: Timer | None = None
        self._ended = False
        entry = lookup(config.image)
        self._is_server = entry.behaviour is Behaviour.SERVER
        self._image = server_image(normalise(config.image))
        self._files = Filesystem(lambda: self._tasks.now_ns, self._contents())
        times = MachineClock(lambda: self._tasks.now_ns, self._tasks.sleep, self._tasks.work)
        self.machine = Machine(where.pod, self._files, self.find, self.start, times)
        self.stdout = Output(lambda data: self._record(STDOUT, data))
        self.stderr = Output(lambda data: self._record(STDERR, data))
        self._server: DefaultServer | None = None

    def _contents(self) -> dict[str, bytes]:
        where = self._where
        hosts = f"127.0.0.1\tlocalhost\n{where.ip}\t{where.pod}\n"
        contents = {
            "/etc/hostname": f"{where.pod}\n".encode(),
            "/etc/hosts": hosts.encode(),
            "/etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
            "/etc/resolv.conf": (
                f"search {where.namespace}.svc.cluster.local svc.cluster.local cluster.local\n"
                "nameserver 10.96.0.10\noptions ndots:5\n"
            ).encode(),
        }
        if self.config.termination_message_path:
            contents[self.config.termination_message_path] = b""
        if self._image.root:
            contents[f"{self._image.root}/index.html"] = self._image.page
        return contents

    def find(self, name: str) -> Program | None:
        """The program of that name in this container."""
        command = name.rpartition("/")[2]
        registered = self._images.commands.get(command)
        if registered is not None:
            return registered
        last = normalise(self.config.image).rpartition("/")[2].partition(":")[0]
        return None if last in _BARE else userland().get(command)

    def start(self, main: Coroutine[Any, Any, int]) -> Task:
        """Run a process in the container."""
        return self._tasks.start(main)

    # The first process

    def start_main(self) -> Task:
        """Run the container's program from its start on. Idempotent."""
        if self.main is None:
            config = self.config
            terminal = self.terminal
            argv = [*config.command, *config.args] or list(lookup(config.image).command)
            if not config.stdin:
                self.stdin.end()
            stdout: Sink = self.stdout
            stderr: Sink = self.stderr
            if terminal is not None:
                stdout = stderr = TerminalSink(self.stdout)
            env = environment(config.env, self._where.pod, terminal=config.tty)
            process = Process(
                self.machine,
                argv or [config.image],
                env,
                self.stdin,
                stdout,
                stderr,
                config.working_dir or "/",
                terminal,
            )
            self.main = self.start(self._run_main(process))
        return self.main

    async def _run_main(self, process: Process) -> int:
        registered = self._images.program(self.config.image)
        if registered is not None and not self.config.command:
            return await finish(registered(process))
        name = process.name
        if not self.config.command and self._is_server:
            name = ""
        if name in SHELLS:
            return await run_shell(process, unknown_stays=True)
        program = self.find(name) if name else None
        if program is not None:
            return await process.execute()
        text = f"{self._where.pod} ({self.config.name})\n"
        self._server = DefaultServer(process, self._image, text)
        await self._server.run()
        # It stays until it is stopped.
        await Pipe().read()
        return NOT_FOUND_CODE

    def _record(self, stream: str, data: bytes) -> None:
        self.log.append(self._tasks.now_ns, stream, data)

    # Time

    def catch_up(self) -> None:
        """Bring everything up to the present, and keep it there."""
        if self._ended:
            return
        clock = self._clock()
        wall_ns = clock.wall_ns()
        self._tasks.advance(wall_ns)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake_ns = self._tasks.next_wake_ns
        if wake_ns is not None and not self._ended:
            self._timer = clock.after(max(wake_ns - wall_ns, 0), self.catch_up)

    def end(self, at_ns: int) -> None:
        """The container ends at that instant: so do all that run in it. Idempotent."""
        if self._ended:
            return
        self._tasks.advance(at_ns)
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tasks.kill_all()
        self.log.close(at_ns)
        self.stdout.end()
        self.stderr.end()

    # Others

    def prepare(self, argv: list[str], stdin: Pipe, stdout: Sink, stderr: Sink) -> Process:
        """A process that `kubectl exec` starts; see `Process.start`."""
        config = self.config
        env = environment(config.env, self._where.pod, terminal=False)
        directory = config.working_dir or "/"
        return Process(self.machine, argv, env, stdin, stdout, stderr, directory)

    def connect(self, port: int, received: Pipe, sent: Pipe) -> None:
        """Let what listens on a port serve a connection."""
        serve = self.machine.listeners.get(port)
        if serve is None and self._server is not None:
            serve = self._server.connected
        if serve is None:
            sent.end()
            received.break_()
            return
        self.start(serve(received, sent))
