"""The image catalogue: what the simulated registry knows about an image, as data.

A container runtime can run nothing without knowing what a program does. The first row whose
pattern matches the image reference decides; an image that no row names is an ordinary server that
listens on its declared container ports as soon as it runs. `Behaviour.MISSING` is the only way for
a pull to fail forever.
"""

from __future__ import annotations

import enum
import zlib
from fnmatch import fnmatchcase
from functools import lru_cache

import attrs

from k8sactors.simulation import MILLISECOND, SECOND

MEBIBYTE = 1 << 20


class Behaviour(enum.Enum):
    """The kind of program inside an image."""

    SERVER = "server"  # runs until it is stopped, listens
    SHELL = "shell"  # does what its command says, and nothing without one
    JOB = "job"  # ends by itself
    MISSING = "missing"  # not in any registry


@attrs.frozen
class ImageEntry:
    """One row of the catalogue."""

    # Shell-style pattern over the whole reference.
    pattern: str
    # What a container of this image does.
    behaviour: Behaviour = Behaviour.SERVER
    # What a pull transfers; 0 derives a plausible size from the name.
    size_bytes: int = 0
    # Where the program listens besides the container's declared ports.
    ports: tuple[int, ...] = ()
    # How long a job runs.
    run_ns: int = SECOND
    # How a job ends.
    exit_code: int = 0
    # How long a server needs from its start until it listens.
    warmup_ns: int = 0
    # How long a server needs from SIGTERM until it has ended.
    stop_ns: int = 100 * MILLISECOND
    # What the image runs when the container has no command of its own (shell images).
    command: tuple[str, ...] = ()


_PAUSE_BYTES = MEBIBYTE // 2
_LATEST = ":latest"

_CATALOGUE: tuple[ImageEntry, ...] = (
    # No registry has these.
    ImageEntry("missing/*", Behaviour.MISSING),
    ImageEntry("*/missing:*", Behaviour.MISSING),
    ImageEntry("*:does-not-exist", Behaviour.MISSING),
    # The parts of Kubernetes.
    ImageEntry("*/pause:*", size_bytes=_PAUSE_BYTES),
    ImageEntry("*/etcd:*", size_bytes=57 * MEBIBYTE, ports=(2379, 2380)),
    ImageEntry("*/kube-apiserver:*", size_bytes=28 * MEBIBYTE, ports=(6443,)),
    ImageEntry("*/kube-controller-manager:*", size_bytes=26 * MEBIBYTE, ports=(10257,)),
    ImageEntry("*/kube-scheduler:*", size_bytes=20 * MEBIBYTE, ports=(10259,)),
    # Images without a program of their own.
    ImageEntry("*busybox:*", Behaviour.SHELL, 2 * MEBIBYTE, command=("sh",)),
    ImageEntry("*busybox@*", Behaviour.SHELL, 2 * MEBIBYTE, command=("sh",)),
    ImageEntry("alpine:*", Behaviour.SHELL, 4 * MEBIBYTE, command=("/bin/sh",)),
    ImageEntry("*/alpine:*", Behaviour.SHELL, 4 * MEBIBYTE, command=("/bin/sh",)),
    ImageEntry("*bash:*", Behaviour.SHELL, 8 * MEBIBYTE, command=("bash",)),
    ImageEntry("debian:*", Behaviour.SHELL, 48 * MEBIBYTE, command=("bash",)),
    ImageEntry("ubuntu:*", Behaviour.SHELL, 29 * MEBIBYTE, command=("/bin/bash",)),
    ImageEntry("python:*", Behaviour.SHELL, 360 * MEBIBYTE, command=("python3",)),
    # Programs that end.
    ImageEntry("hello-world:*", Behaviour.JOB, MEBIBYTE // 64, run_ns=SECOND // 10),
    ImageEntry("perl:*", Behaviour.JOB, 340 * MEBIBYTE, run_ns=5 * SECOND),
    ImageEntry("sim/job:*", Behaviour.JOB, MEBIBYTE),
    ImageEntry("sim/crasher:*", Behaviour.JOB, MEBIBYTE, run_ns=SECOND // 2, exit_code=1),
    # Well-known servers, which listen whether or not the manifest says where.
    ImageEntry("*nginx*:*", size_bytes=70 * MEBIBYTE, ports=(80,)),
    ImageEntry("*httpd:*", size_bytes=58 * MEBIBYTE, ports=(80,)),
    ImageEntry("*redis*:*", size_bytes=45 * MEBIBYTE, ports=(6379,), warmup_ns=SECOND // 5),
    ImageEntry("*memcached:*", size_bytes=30 * MEBIBYTE, ports=(11211,)),
    ImageEntry("*postgres:*", size_bytes=150 * MEBIBYTE, ports=(5432,), warmup_ns=2 * SECOND),
    ImageEntry("*mysql:*", size_bytes=240 * MEBIBYTE, ports=(3306,), warmup_ns=5 * SECOND),
    ImageEntry("*mongo:*", size_bytes=270 * MEBIBYTE, ports=(27017,), warmup_ns=SECOND),
    ImageEntry("*rabbitmq:*", size_bytes=90 * MEBIBYTE, ports=(5672,), warmup_ns=3 * SECOND),
)
_UNKNOWN = ImageEntry("*")


@lru_cache(maxsize=4096)
def normalise(reference: str) -> str:
    """The reference with the tag that an absent one stands for."""
    last = reference.rpartition("/")[2]
    return reference if ":" in last or "@" in last else reference + _LATEST


def default_pull_policy(reference: str) -> str:
    """Always for a moving tag, otherwise IfNotPresent (the API server's default for containers)."""
    return "Always" if normalise(reference).endswith(_LATEST) else "IfNotPresent"


@lru_cache(maxsize=4096)
def lookup(reference: str) -> ImageEntry:
    """The catalogue's row for an image, its size filled in."""
    name = normalise(reference)
    entry = next((row for row in _CATALOGUE if fnmatchcase(name, row.pattern)), _UNKNOWN)
    if entry.size_bytes:
        return entry
    # Any stable spread will do: 20 to 83 MiB, the same on every run.
    return attrs.evolve(entry, size_bytes=(20 + zlib.crc32(name.encode()) % 64) * MEBIBYTE)


def image_id(reference: str) -> str:
    """A digest-like identity that depends on the name alone."""
    checksum = zlib.crc32(normalise(reference).encode())
    return f"sha256:{checksum:08x}{checksum ^ 0xFFFFFFFF:08x}" + "0" * 48
