"""A real etcd asked through its own client library, which is in Go.

The client is a small program, `main.go` next to this file, built when a benchmark starts, wherever
Go and etcd's client are installed (Debian: golang-go, golang-etcd-server-dev).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from benches.store_report import Figures

GO: Final = shutil.which("go")
# Where Debian's packages put the sources of Go libraries.
GOPATH: Final = Path("/usr/share/gocode")
LIBRARY: Final = GOPATH / "src" / "go.etcd.io" / "etcd" / "clientv3"
WITHOUT_CLIENT: Final = (
    "etcd's own client cannot be built (Debian: apt-get install golang-go golang-etcd-server-dev)"
)
TASKS_PER_CONNECTION: Final = 10
KEYS: Final = 10_000
BUILD_TIMEOUT_S: Final = 300.0
TIMEOUT_S: Final = 600.0
NS_PER_MS: Final = 1e6


class ClientError(Exception):
    """The client could not be built, or failed."""


def is_available() -> bool:
    """Whether it can be built here."""
    return GO is not None and LIBRARY.exists()


def build(directory: Path) -> Path:
    """Build the client in a directory of the caller's; returns the program.

    Raises:
        ClientError: the compiler refused.
    """
    if GO is None or not is_available():
        raise ClientError(WITHOUT_CLIENT)
    program = directory / "etcd-client"
    settings = {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": "", "CGO_ENABLED": "0"}
    done = subprocess.run(  # noqa: S603 - the program next to this file
        [GO, "build", "-o", str(program), "."],
        cwd=Path(__file__).parent,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_TIMEOUT_S,
    )
    if done.returncode:
        raise ClientError(f"{WITHOUT_CLIENT}: {done.stderr.strip()[-500:]}")
    return program


def ask(
    program: Path, endpoint: str, mode: str, clients: int, operations: int, value_bytes: int
) -> Figures:
    """Let so many clients ask an endpoint; one connection for every ten of them.

    Raises:
        ClientError: a request failed.
    """
    done = subprocess.run(  # noqa: S603 - built above
        [
            str(program),
            f"-endpoints={endpoint}",
            f"-mode={mode}",
            f"-clients={clients}",
            f"-connections={-(-clients // TASKS_PER_CONNECTION)}",
            f"-operations={operations}",
            f"-keys={KEYS}",
            f"-value-bytes={value_bytes}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        raise ClientError(f"etcd's client failed: {done.stderr.strip()[-500:]}")
    told = json.loads(done.stdout)
    return {
        "mode": mode,
        "clients": clients,
        "operations": told["operations"],
        "value_bytes": value_bytes,
        "per_second": round(told["per_second"]),
        "latency_ms": {
            "p50": round(told["latency_p50_ns"] / NS_PER_MS, 3),
            "p99": round(told["latency_p99_ns"] / NS_PER_MS, 3),
        },
    }
