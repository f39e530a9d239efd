"""What a program sees of the world: arguments, environment, files, standard streams, time.

A program is a callable that takes a `Process` and gives its exit code (None: 0), at once or as a
coroutine that awaits the methods here and nothing else::

    async def greeter(process: Process) -> int:
        while line := await process.stdin.read_line():
            await process.print("hello " + line.decode().strip())
        return 0
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import attrs

from k8sactors.runtime.filesystem import Filesystem
from k8sactors.runtime.pipes import Pipe, Sink
from k8sactors.runtime.tasks import ProgramExit, Result, Task, finish
from k8sactors.runtime.waits import Wait
from k8sactors.simulation import SECOND

NOT_FOUND_CODE: Final = 127
ROOT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Program = Callable[["Process"], Result]
Connect = Callable[[Pipe, Pipe], Coroutine[Any, Any, int]]


class Machine:
    """What the processes of a container share.

    `find` gives the program of a name; `listeners` is what answers connections, by port.
    """

    def __init__(
        self,
        hostname: str,
        files: Filesystem,
        find: Callable[[str], Program | None],
        start: Callable[[Coroutine[Any, Any, int]], Task],
        clock: MachineClock,
    ) -> None:
        self.hostname = hostname
        self.files = files
        self.find = find
        self.start = start
        self.clock = clock
        self.listeners: dict[int, Connect] = {}
        self.last_pid = 0


class MachineClock:
    """The container's time, as its processes may use it."""

    def __init__(
        self,
        now_ns: Callable[[], int],
        sleep: Callable[[int], Wait],
        work: Callable[[], Wait],
    ) -> None:
        self.now_ns = now_ns
        self.sleep = sleep
        self.work = work


@attrs.define(eq=False)
class Terminal:
    """The terminal that a process has."""

    width: int = 80
    height: int = 24


@attrs.define(eq=False)
class Process:
    """One running program."""

    machine: Machine
    argv: list[str]
    env: dict[str, str]
    stdin: Pipe
    stdout: Sink
    stderr: Sink
    cwd: str = "/"
    terminal: Terminal | None = None
    pid: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.machine.last_pid += 1
        self.pid = self.machine.last_pid

    @property
    def name(self) -> str:
        """The program's name as it was called."""
        return self.argv[0].rpartition("/")[2] if self.argv else ""

    @property
    def args(self) -> list[str]:
        """The arguments behind the name."""
        return self.argv[1:]

    @property
    def files(self) -> Filesystem:
        """The container's files."""
        return self.machine.files

    @property
    def hostname(self) -> str:
        """The pod's host name."""
        return self.machine.hostname

    @property
    def now_ns(self) -> int:
        """Unix time."""
        return self.machine.clock.now_ns()

    def path(self, path: str) -> str:
        """An absolute path, from one that may be relative to the working directory."""
        return self.files.absolute(path, self.cwd)

    async def sleep(self, seconds: float) -> None:
        """Wait on the container's time."""
        await self.machine.clock.sleep(round(seconds * SECOND))

    async def print(self, text: str, end: str = "\n") -> None:
        """Write a line to standard output."""
        await self.stdout.write((text + end).encode())

    async def complain(self, text: str) -> None:
        """Write a line to standard error, behind the program's name."""
        await self.stderr.write(f"{self.name}: {text}\n".encode())

    def listen(self, port: int, connect: Connect) -> None:
        """Answer connections to a port: `connect(received, sent)` runs for each."""
        self.machine.listeners[port] = connect

    def exit(self, code: int) -> None:
        """End here."""
        raise ProgramExit(code)

    def child(self, argv: list[str], **changes: Any) -> Process:
        """A process for another program, with the same streams and environment unless changed."""
        fields: dict[str, Any] = {
            "env": dict(self.env),
            "stdin": self.stdin,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "cwd": self.cwd,
            "terminal": self.terminal,
            **changes,
        }
        return Process(self.machine, argv, **fields)

    async def execute(self) -> int:
        """Run the program that the arguments name; 127 if there is none."""
        await self.machine.clock.work()
        program = self.machine.find(self.argv[0])
        if program is None:
            await self.stderr.write(f"sh: {self.argv[0]}: not found\n".encode())
            return NOT_FOUND_CODE
        return await finish(program(self))

    def start(self) -> Task:
        """Run it next to the others."""
        return self.machine.start(self.execute())


def environment(given: Mapping[str, str], hostname: str, *, terminal: bool) -> dict[str, str]:
    """The environment of a container's first process (OCI image defaults and the kubelet's)."""
    env = {"PATH": ROOT_PATH, "HOSTNAME": hostname}
    if terminal:
        env["TERM"] = "xterm"
    env.update(given)
    env.setdefault("HOME", "/root")
    return env
