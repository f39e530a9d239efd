"""`tar`, which `kubectl cp` runs in the container."""

from __future__ import annotations

import io
import posixpath
import tarfile
from typing import Final

from k8sactors.runtime.commands.options import split
from k8sactors.runtime.filesystem import FILES_BYTES
from k8sactors.runtime.process import Process, Program
from k8sactors.simulation import SECOND

_WITH_VALUE: Final = frozenset("fC")


async def _tar(process: Process) -> int:
    args = list(process.args)
    if args and not args[0].startswith("-"):
        args[0] = "-" + args[0]
    options, operands = split(args, _WITH_VALUE)
    if "C" in options:
        process = process.child(process.argv, cwd=process.path(options["C"]))
    archive = options.get("f", "-")
    compressed = "z" in options
    if "c" in options:
        return await _create(process, archive, operands, compressed=compressed)
    if "x" in options or "t" in options:
        return await _read(process, archive, options)
    await process.complain("must specify one of -c, -x, -t")
    return 1


async def _create(process: Process, archive: str, operands: list[str], *, compressed: bool) -> int:
    buffer = io.BytesIO()
    status = 0
    files = process.files
    with tarfile.open(fileobj=buffer, mode="w:gz" if compressed else "w") as tar:
        for operand in operands:
            begin = process.path(operand)
            if not files.exists(begin):
                await process.complain(f"{operand}: No such file or directory")
                status = 1
                continue
            if operand.startswith("/"):
                await process.complain("removing leading '/' from member names")
            for path in files.walk(begin):
                entry = files.find(path)
                info = tarfile.TarInfo((operand + path[len(begin) :]).lstrip("/"))
                info.mode, info.mtime = entry.mode, entry.modified_ns // SECOND
                if entry.data is None:
                    info.type = tarfile.DIRTYPE
                    tar.addfile(info)
                else:
                    info.size = len(entry.data)
                    tar.addfile(info, io.BytesIO(entry.data))
    if archive == "-":
        await process.stdout.write(buffer.getvalue())
    else:
        files.write(process.path(archive), buffer.getvalue())
    return status


async def _read(process: Process, archive: str, options: dict[str, str]) -> int:
    if archive == "-":
        data = await process.stdin.read_all(FILES_BYTES)
    else:
        data = process.files.read(process.path(archive))
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz" if "z" in options else "r:") as tar:
            for member in tar:
                if "t" in options:
                    await process.print(member.name)
                else:
                    await _extract(process, tar, member, options)
    except tarfile.TarError as error:
        await process.complain(f"corrupted archive: {error}")
        return 1
    except OSError as error:
        await process.complain(f"{error.filename}: {error.strerror}")
        return 1
    return 0


async def _extract(
    process: Process, tar: tarfile.TarFile, member: tarfile.TarInfo, options: dict[str, str]
) -> None:
    # A member stays below the directory, wherever its name points.
    name = process.files.absolute(member.name.lstrip("/"))
    path = process.path(name.lstrip("/"))
    if "v" in options:
        await process.print(member.name)
    if member.isdir():
        process.files.make_directory(path, parents=True)
    elif member.isfile():
        stream = tar.extractfile(member)
        assert stream is not None
        process.files.make_directory(posixpath.dirname(path), parents=True)
        process.files.write(path, stream.read(FILES_BYTES + 1), mode=member.mode)


COMMANDS: Final[dict[str, Program]] = {"tar": _tar}
