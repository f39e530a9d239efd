"""Commands that read and write text."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Final

from k8sactors.runtime.commands.options import split
from k8sactors.runtime.pipes import PIPE_BYTES
from k8sactors.runtime.process import Process, Program

READ_BYTES: Final = 8 << 20
POLL_S: Final = 1.0
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "a": "\a", "b": "\b", "0": "\0"}
_ESCAPE: Final = re.compile(r"\\(.)")
_FORMAT: Final = re.compile(r"%(-?\d*(?:\.\d+)?)([sdiuxXc%])")


def unescaped(text: str) -> str:
    """Text with its backslash sequences replaced."""
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), text)


async def contents(process: Process, path: str) -> bytes | None:
    """A file's bytes, or those of standard input for "-"; None, with a complaint: unreadable."""
    if path == "-":
        return await process.stdin.read_all(READ_BYTES)
    try:
        return process.files.read(process.path(path))
    except OSError as error:
        await process.complain(f"{path}: {error.strerror}")
        return None


async def _echo(process: Process) -> None:
    args, end, escapes = process.args, "\n", False
    while args and re.fullmatch(r"-[neE]+", args[0]):
        if "n" in args[0]:
            end = ""
        escapes = "e" in args[0]
        args = args[1:]
    text = " ".join(args)
    await process.print(unescaped(text) if escapes else text, end)


async def _printf(process: Process) -> int:
    if not process.args:
        await process.complain("usage: printf FORMAT [ARG...]")
        return 1
    layout, values = unescaped(process.args[0]), process.args[1:]
    written: list[str] = []
    while True:
        before = len(values)

        def put(found: re.Match[str]) -> str:
            if found[2] == "%":
                return "%"
            value = values.pop(0) if values else ""
            if found[2] in "diuxX":
                number = int(value) if value.lstrip("-").isdecimal() else 0
                return f"%{found[1]}{found[2]}" % number
            return f"%{found[1]}s" % (value[:1] if found[2] == "c" else value)

        written.append(_FORMAT.sub(put, layout))
        if not values or len(values) == before:
            break
    await process.print("".join(written), "")
    return 0


async def _cat(process: Process) -> int:
    _, operands = split(process.args)
    status = 0
    for path in operands or ["-"]:
        if path == "-":
            while data := await process.stdin.read():
                await process.stdout.write(data)
            continue
        found = await contents(process, path)
        if found is None:
            status = 1
        else:
            await process.stdout.write(found)
    return status


async def _tee(process: Process) -> int:
    options, operands = split(process.args)
    paths = [process.path(path) for path in operands]
    for path in paths:
        process.files.write(path, b"", append="a" in options)
    while data := await process.stdin.read():
        await process.stdout.write(data)
        for path in paths:
            process.files.write(path, data, append=True)
    return 0


async def _head(process: Process) -> int:
    options, operands = split(process.args, "nc", numbers="n")
    if not operands and "c" not in options:
        for _ in range(int(options.get("n", "10"))):
            await process.stdout.write(await process.stdin.read_line())
        return 0
    for path in operands or ["-"]:
        data = await contents(process, path)
        if data is None:
            return 1
        if "c" in options:
            await process.stdout.write(data[: int(options["c"])])
        else:
            lines = data.splitlines(keepends=True)
            await process.stdout.write(b"".join(lines[: int(options.get("n", "10"))]))
    return 0


async def _tail(process: Process) -> int:
    options, operands = split(process.args, "nc", numbers="n")
    follows = "f" in options or "F" in options
    for path in operands or ["-"]:
        if path == "/dev/null":
            continue
        data = await contents(process, path)
        if data is None:
            return 1
        count = int(options.get("n", "10").lstrip("+"))
        lines = data.splitlines(keepends=True)
        await process.stdout.write(b"".join(lines[len(lines) - count :] if count else []))
    if not follows:
        return 0
    paths = [process.path(path) for path in operands if path != "/dev/null"]
    if not paths:
        # Nothing will be written to /dev/null.
        while await process.stdin.read(PIPE_BYTES):
            pass
        while True:
            await process.sleep(1 << 20)
    sizes = {path: len(process.files.read(path)) for path in paths}
    while True:
        await process.sleep(POLL_S)
        for path in paths:
            data = process.files.read(path) if process.files.exists(path) else b""
            await process.stdout.write(data[sizes[path] :])
            sizes[path] = len(data)


async def _count(process: Process) -> int:
    options, operands = split(process.args)
    for path in operands or ["-"]:
        data = await contents(process, path)
        if data is None:
            return 1
        counts = {"l": data.count(b"\n"), "w": len(data.split()), "c": len(data)}
        chosen = [counts[key] for key in "lwc" if key in options] or list(counts.values())
        shown = " ".join(str(count) for count in chosen)
        await process.print(f"{shown} {path}" if path != "-" else shown)
    return 0


async def _grep(process: Process) -> int:
    options, operands = split(process.args, "e")
    pattern = options["e"] if "e" in options else (operands.pop(0) if operands else "")
    flags = re.IGNORECASE if "i" in options else 0
    try:
        matches = re.compile(re.escape(pattern) if "F" in options else pattern, flags).search
    except re.error as error:
        await process.complain(f"bad regex '{pattern}': {error}")
        return 2
    count = 0
    for path in operands or ["-"]:
        data = await contents(process, path)
        if data is None:
            return 2
        for line in data.decode(errors="replace").splitlines():
            if bool(matches(line)) is ("v" not in options):
                count += 1
                if "q" not in options and "c" not in options:
                    prefix = f"{path}:" if len(operands) > 1 else ""
                    await process.print(prefix + line)
    if "c" in options:
        await process.print(str(count))
    return 0 if count else 1


async def _sort(process: Process) -> int:
    options, operands = split(process.args, "k")
    lines: list[str] = []
    for path in operands or ["-"]:
        data = await contents(process, path)
        if data is None:
            return 2
        lines += data.decode(errors="replace").splitlines()
    key: Callable[[str], tuple[float, str]] = lambda line: (  # noqa: E731 - one of two keys
        (_leading_number(line), line) if "n" in options else (0.0, line)
    )
    lines.sort(key=key, reverse="r" in options)
    if "u" in options:
        lines = list(dict.fromkeys(lines))
    await process.print("".join(f"{line}\n" for line in lines), "")
    return 0


def _leading_number(line: str) -> float:
    found = re.match(r"\s*-?\d+(\.\d+)?", line)
    return float(found[0]) if found else 0.0


async def _sequence(process: Process) -> int:
    numbers = [int(arg) for arg in process.args if arg.lstrip("-").isdecimal()]
    match numbers:
        case [last]:
            first, step = 1, 1
        case [first, last]:
            step = 1
        case [first, step, last]:
            pass
        case _:
            await process.complain("usage: seq [FIRST [STEP]] LAST")
            return 1
    number = first
    while step and (number <= last if step > 0 else number >= last):
        await process.print(str(number))
        number += step
        await process.machine.clock.work()
    return 0


async def _base64(process: Process) -> int:
    options, operands = split(process.args, "w")
    data = await contents(process, operands[0] if operands else "-")
    if data is None:
        return 1
    if "d" in options:
        await process.stdout.write(base64.b64decode(data))
    else:
        encoded = base64.b64encode(data)
        width = int(options.get("w", "76")) or max(len(encoded), 1)
        parts = [encoded[at : at + width] for at in range(0, len(encoded), width)]
        await process.stdout.write(b"\n".join(parts) + b"\n")
    return 0


async def _yes(process: Process) -> None:
    while True:
        await process.print(" ".join(process.args) or "y")
        await process.machine.clock.work()


COMMANDS: Final[dict[str, Program]] = {
    "base64": _base64,
    "cat": _cat,
    "echo": _echo,
    "egrep": _grep,
    "grep": _grep,
    "head": _head,
    "printf": _printf,
    "seq": _sequence,
    "sort": _sort,
    "tail": _tail,
    "tee": _tee,
    "wc": _count,
    "yes": _yes,
}
