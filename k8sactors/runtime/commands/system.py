"""Commands about the container itself, and shells."""

from __future__ import annotations

from typing import Final

from k8sactors.api.meta import format_time
from k8sactors.runtime.commands.options import split
from k8sactors.runtime.process import Process, Program
from k8sactors.runtime.shell.interpreter import Shell
from k8sactors.simulation import SECOND

KERNEL: Final = "6.12.0-k8sactors"
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FOREVER_S: Final = 1 << 31


async def _sleep(process: Process) -> int:
    total = 0.0
    for arg in process.args:
        unit = _UNIT_SECONDS.get(arg[-1:], 0)
        number = arg[:-1] if unit else arg
        if arg in {"inf", "infinity"}:
            total = _FOREVER_S
            break
        try:
            total += float(number) * (unit or 1)
        except ValueError:
            await process.complain(f"invalid number '{arg}'")
            return 1
    await process.sleep(min(total, _FOREVER_S))
    return 0


async def _env(process: Process) -> int:
    env, args = dict(process.env), list(process.args)
    while args and "=" in args[0]:
        name, _, value = args.pop(0).partition("=")
        env[name] = value
    if args:
        return await process.child(args, env=env).execute()
    for name, value in env.items():
        await process.print(f"{name}={value}")
    return 0


async def _print_env(process: Process) -> int:
    if not process.args:
        return await _env(process)
    status = 0
    for name in process.args:
        if name in process.env:
            await process.print(process.env[name])
        else:
            status = 1
    return status


async def _hostname(process: Process) -> None:
    await process.print(process.hostname)


async def _date(process: Process) -> None:
    seconds = process.now_ns // SECOND
    layout = next((arg[1:] for arg in process.args if arg.startswith("+")), "")
    text = format_time(process.now_ns)
    day, _, clock = text.rstrip("Z").partition("T")
    if layout:
        year, month, date = day.split("-")
        hour, minute, second = clock.split(":")
        fields = {
            "%s": str(seconds),
            "%F": day,
            "%T": clock,
            "%Y": year,
            "%m": month,
            "%d": date,
            "%H": hour,
            "%M": minute,
            "%S": second,
            "%N": f"{process.now_ns % SECOND:09d}",
            "%Z": "UTC",
        }
        for field, value in fields.items():
            layout = layout.replace(field, value)
        await process.print(layout)
    else:
        await process.print(f"{day} {clock} UTC")


async def _identity(process: Process) -> None:
    if "-u" in process.args or "-g" in process.args:
        await process.print("0")
    else:
        await process.print("uid=0(root) gid=0(root) groups=0(root)")


async def _who_am_i(process: Process) -> None:
    await process.print("root")


async def _system_name(process: Process) -> None:
    options, _ = split(process.args)
    fields = {"s": "Linux", "n": process.hostname, "r": KERNEL, "m": "x86_64"}
    if "a" in options:
        await process.print(f"Linux {process.hostname} {KERNEL} #1 SMP x86_64 GNU/Linux")
    else:
        chosen = [value for key, value in fields.items() if key in options] or ["Linux"]
        await process.print(" ".join(chosen))


def _true(process: Process) -> int:
    del process
    return 0


def _false(process: Process) -> int:
    del process
    return 1


async def _which(process: Process) -> int:
    status = 0
    for name in process.args:
        if process.machine.find(name) is None:
            status = 1
        else:
            await process.print(f"/bin/{name.rpartition('/')[2]}")
    return status


async def _terminal_size(process: Process) -> int:
    terminal = process.terminal
    if terminal is None:
        await process.complain("standard input: Not a tty")
        return 1
    if process.args[:1] == ["size"]:
        await process.print(f"{terminal.height} {terminal.width}")
    return 0


async def _terminal_name(process: Process) -> int:
    await process.print("/dev/pts/0" if process.terminal is not None else "not a tty")
    return 0 if process.terminal is not None else 1


async def run_shell(process: Process, *, unknown_stays: bool = False) -> int:
    """`sh -c SCRIPT`, `sh FILE`, or commands from standard input."""
    shell = Shell(process, unknown_stays=unknown_stays)
    args = list(process.args)
    while args and args[0].startswith("-"):
        flag = args.pop(0)
        shell.stops_on_error = shell.stops_on_error or "e" in flag
        shell.traces = shell.traces or "x" in flag
        if "c" in flag and not flag.startswith("--"):
            script = args.pop(0) if args else ""
            shell.parameters = args[1:]
            return await shell.run(script)
    if args:
        try:
            script = process.files.read(process.path(args[0])).decode(errors="replace")
        except OSError as error:
            await process.complain(f"can't open '{args[0]}': {error.strerror}")
            return 2
        shell.parameters = args[1:]
        return await shell.run(script)
    return await shell.interactive()


async def _shell(process: Process) -> int:
    return await run_shell(process)


async def _busybox(process: Process) -> int:
    if not process.args:
        await process.print("BusyBox (simulated)")
        return 0
    return await process.child(process.args).execute()


COMMANDS: Final[dict[str, Program]] = {
    "ash": _shell,
    "bash": _shell,
    "busybox": _busybox,
    "dash": _shell,
    "date": _date,
    "env": _env,
    "false": _false,
    "hostname": _hostname,
    "id": _identity,
    "printenv": _print_env,
    "sh": _shell,
    "sleep": _sleep,
    "stty": _terminal_size,
    "sync": _true,
    "true": _true,
    "tty": _terminal_name,
    "uname": _system_name,
    "which": _which,
    "whoami": _who_am_i,
}
