"""Commands that work on files."""

from __future__ import annotations

import fnmatch
import itertools
import posixpath
from typing import Final

from k8sactors.api.meta import format_time
from k8sactors.runtime.commands.options import split
from k8sactors.runtime.filesystem import Entry
from k8sactors.runtime.process import Process, Program


async def _list(process: Process) -> int:
    options, operands = split(process.args)
    status = 0
    for place, operand in enumerate(operands or ["."]):
        path = process.path(operand)
        try:
            entry = process.files.find(path)
            is_directory = entry.data is None and "d" not in options
            names = process.files.names(path) if is_directory else [operand]
        except OSError as error:
            await process.complain(f"{operand}: {error.strerror}")
            status = 1
            continue
        if len(operands) > 1 and is_directory:
            await process.print(f"{chr(10) if place else ''}{operand}:")
        for name in names:
            if name.startswith(".") and "a" not in options and is_directory:
                continue
            found = process.files.find(posixpath.join(path, name) if is_directory else path)
            await process.print(_long(found, name) if "l" in options else name)
    return status


def _long(entry: Entry, name: str) -> str:
    letters = "".join(
        letter if entry.mode >> (8 - place) & 1 else "-" for place, letter in enumerate("rwxrwxrwx")
    )
    kind = "d" if entry.data is None else "-"
    size = 4096 if entry.data is None else len(entry.data)
    return f"{kind}{letters} 1 root root {size:>8} {format_time(entry.modified_ns)} {name}"


async def _make_directory(process: Process) -> int:
    options, operands = split(process.args, "m")
    status = 0
    for operand in operands:
        try:
            process.files.make_directory(process.path(operand), parents="p" in options)
        except OSError as error:
            await process.complain(f"can't create directory '{operand}': {error.strerror}")
            status = 1
    return status


async def _remove(process: Process) -> int:
    options, operands = split(process.args)
    recursive = bool({"r", "R"} & options.keys())
    status = 0
    for operand in operands:
        try:
            process.files.remove(process.path(operand), recursive=recursive)
        except FileNotFoundError as error:
            if "f" not in options:
                await process.complain(f"can't remove '{operand}': {error.strerror}")
                status = 1
        except OSError as error:
            await process.complain(f"can't remove '{operand}': {error.strerror}")
            status = 1
    return status


async def _remove_directory(process: Process) -> int:
    status = 0
    for operand in process.args:
        path = process.path(operand)
        problem = ""
        try:
            if process.files.names(path):
                problem = "Directory not empty"
            else:
                process.files.remove(path, recursive=True)
        except OSError as error:
            problem = str(error.strerror)
        if problem:
            await process.complain(f"'{operand}': {problem}")
            status = 1
    return status


async def _touch(process: Process) -> int:
    _, operands = split(process.args)
    for operand in operands:
        try:
            process.files.write(process.path(operand), b"", append=True)
        except OSError as error:
            await process.complain(f"{operand}: {error.strerror}")
            return 1
    return 0


def _target(process: Process, source: str, target: str) -> str:
    """Where a copy goes: into a directory under its own name."""
    path = process.path(target)
    if process.files.is_directory(path):
        return posixpath.join(path, posixpath.basename(process.path(source)))
    return path


async def _copy(process: Process) -> int:
    options, operands = split(process.args)
    recursive = bool({"r", "R", "a"} & options.keys())
    *sources, target = operands if len(operands) > 1 else ["", ""]
    files = process.files
    for source in sources:
        begin = process.path(source)
        end = _target(process, source, target)
        try:
            if files.is_directory(begin) and not recursive:
                await process.complain(f"omitting directory '{source}'")
                return 1
            for path in files.walk(begin):
                entry, place = files.find(path), end + path[len(begin) :]
                if entry.data is None:
                    files.make_directory(place, parents=True)
                else:
                    files.write(place, entry.data, mode=entry.mode)
        except OSError as error:
            await process.complain(f"can't copy '{source}': {error.strerror}")
            return 1
    return 0


async def _move(process: Process) -> int:
    _, operands = split(process.args)
    *sources, target = operands if len(operands) > 1 else ["", ""]
    for source in sources:
        try:
            process.files.move(process.path(source), _target(process, source, target))
        except OSError as error:
            await process.complain(f"can't rename '{source}': {error.strerror}")
            return 1
    return 0


async def _change_mode(process: Process) -> int:
    _, operands = split(process.args)
    mode, *paths = operands or ["", ""]
    for operand in paths:
        path = process.path(operand)
        try:
            if mode.isdecimal():
                process.files.change_mode(path, int(mode, 8))
            elif mode.endswith("+x"):
                process.files.change_mode(path, process.files.find(path).mode | 0o111)
        except (OSError, ValueError) as error:
            await process.complain(f"{operand}: {error}")
            return 1
    return 0


async def _test(process: Process) -> int:
    words = process.args
    if process.name == "[":
        if words[-1:] != ["]"]:
            await process.complain("missing ]")
            return 2
        words = words[:-1]
    try:
        return 0 if _holds(process, words) else 1
    except ValueError:
        await process.complain("bad number")
        return 2


def _holds(process: Process, words: list[str]) -> bool:
    for joint in ("-o", "-a"):
        if joint in words:
            middle = words.index(joint)
            before, after = words[:middle], words[middle + 1 :]
            if joint == "-o":
                return _holds(process, before) or _holds(process, after)
            return _holds(process, before) and _holds(process, after)
    files = process.files
    match words:
        case ["!", *rest]:
            return not _holds(process, rest)
        case ["-e", path]:
            return files.exists(process.path(path))
        case ["-f" | "-r" | "-w" | "-x", path]:
            place = process.path(path)
            return files.exists(place) and not files.is_directory(place)
        case ["-d", path]:
            return files.is_directory(process.path(path))
        case ["-s", path]:
            place = process.path(path)
            return files.exists(place) and bool(files.find(place).data)
        case ["-n", text] | [text]:
            return bool(text)
        case ["-z", text]:
            return not text
        case [left, "=" | "==", right]:
            return left == right
        case [left, "!=", right]:
            return left != right
        case [left, "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" as operator, right]:
            return _compare(int(left), operator, int(right))
    return False


def _compare(left: int, operator: str, right: int) -> bool:
    return {
        "-eq": left == right,
        "-ne": left != right,
        "-lt": left < right,
        "-le": left <= right,
        "-gt": left > right,
        "-ge": left >= right,
    }[operator]


async def _find(process: Process) -> int:
    begin = process.args[0] if process.args[:1] and process.args[0][:1] != "-" else "."
    path = process.path(begin)
    try:
        found = process.files.walk(path)
    except OSError as error:
        await process.complain(f"{begin}: {error.strerror}")
        return 1
    for option, kind in itertools.pairwise(process.args):
        if option == "-type" and kind in {"d", "f"}:
            found = [
                each for each in found if (process.files.find(each).data is None) == (kind == "d")
            ]
        elif option == "-name":
            found = [each for each in found if fnmatch.fnmatchcase(posixpath.basename(each), kind)]
    for each in found:
        await process.print(begin.rstrip("/") + each[len(path.rstrip("/")) :] or "/")
    return 0


COMMANDS: Final[dict[str, Program]] = {
    "[": _test,
    "chmod": _change_mode,
    "cp": _copy,
    "find": _find,
    "ls": _list,
    "mkdir": _make_directory,
    "mv": _move,
    "rm": _remove,
    "rmdir": _remove_directory,
    "test": _test,
    "touch": _touch,
}
