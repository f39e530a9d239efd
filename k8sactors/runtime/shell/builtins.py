"""What a shell does itself, because it changes the shell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from k8sactors.runtime.process import Process
from k8sactors.runtime.tasks import ProgramExit, Result, Task


class State(Protocol):
    """The shell, as its built-in commands change it."""

    process: Process
    status: int
    variables: dict[str, str]
    exported: set[str]
    parameters: list[str]
    jobs: list[Task]
    stops_on_error: bool
    traces: bool


def _exit(shell: State, args: list[str]) -> int:
    raise ProgramExit(int(args[0]) & 0xFF if args and args[0].isdecimal() else shell.status)


async def _change_directory(shell: State, args: list[str]) -> int:
    process = shell.process
    target = args[0] if args else shell.variables.get("HOME", "/")
    path = process.path(target)
    if not process.files.is_directory(path):
        text = f"sh: cd: can't cd to {target}: No such file or directory\n"
        await process.stderr.write(text.encode())
        return 1
    process.cwd = path
    shell.variables["PWD"] = path
    return 0


async def _working_directory(shell: State, args: list[str]) -> int:
    del args
    await shell.process.print(shell.process.cwd)
    return 0


def _export(shell: State, args: list[str]) -> int:
    for arg in args:
        name, equals, value = arg.partition("=")
        if equals:
            shell.variables[name] = value
        shell.exported.add(name)
    return 0


def _unset(shell: State, args: list[str]) -> int:
    for name in args:
        shell.variables.pop(name, None)
        shell.exported.discard(name)
    return 0


def _set(shell: State, args: list[str]) -> int:
    for place, arg in enumerate(args):
        if arg == "--":
            shell.parameters = args[place + 1 :]
            break
        if arg[:1] in {"-", "+"}:
            turned_on = arg.startswith("-")
            if "e" in arg:
                shell.stops_on_error = turned_on
            if "x" in arg:
                shell.traces = turned_on
    return 0


def _shift(shell: State, args: list[str]) -> int:
    count = int(args[0]) if args and args[0].isdecimal() else 1
    shell.parameters = shell.parameters[count:]
    return 0


async def _read(shell: State, args: list[str]) -> int:
    names = [arg for arg in args if not arg.startswith("-")] or ["REPLY"]
    line = await shell.process.stdin.read_line()
    words = line.decode(errors="replace").strip().split(maxsplit=len(names) - 1)
    for place, name in enumerate(names):
        shell.variables[name] = words[place] if place < len(words) else ""
    return 0 if line else 1


async def _wait(shell: State, args: list[str]) -> int:
    del args
    jobs, shell.jobs = shell.jobs, []
    status = 0
    for job in jobs:
        status = await job.wait()
    return status


def _nothing(shell: State, args: list[str]) -> int:
    del shell, args
    return 0


BUILTINS: Final[dict[str, Callable[[State, list[str]], Result]]] = {
    ":": _nothing,
    "cd": _change_directory,
    "exit": _exit,
    "export": _export,
    "pwd": _working_directory,
    "read": _read,
    "set": _set,
    "shift": _shift,
    "trap": _nothing,
    "ulimit": _nothing,
    "umask": _nothing,
    "unset": _unset,
    "wait": _wait,
}
