"""A cluster that is served by a process of its own, and asking it over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 10.0
ASK_TIMEOUT_S = 8.0


class Served:
    """A running `raftstore serve` and the URLs that it printed."""

    def __init__(self, process: subprocess.Popen[bytes], urls: list[str]) -> None:
        self.process = process
        self.urls = urls

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT_S)


def start(*arguments: str, stderr: int | None = None) -> Served:
    return wait_ready(launch(*arguments, stderr=stderr))


def launch(*arguments: str, stderr: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "raftstore.cli", "serve", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def wait_ready(process: subprocess.Popen[bytes]) -> Served:
    try:
        lines = _read_until_ready(process)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Served(process, [line.split()[1] for line in lines])


@contextmanager
def stopping(running: Served) -> Iterator[Served]:
    """A served cluster that is killed in the end."""
    assert running.process.stdout is not None
    with running.process.stdout:
        try:
            yield running
        finally:
            running.process.kill()
            running.process.wait()


def _read_until_ready(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    text = b""
    while not text.endswith(b"ready\n"):
        readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
        assert readable, f"not ready in time; printed {text!r}"
        chunk = os.read(process.stdout.fileno(), 4096)
        assert chunk, f"ended with {process.wait()}; printed {text!r}"
        text += chunk
    return text.decode().splitlines()[:-1]


def ask(served: Served, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=ASK_TIMEOUT_S)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def post(served: Served, path: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    status, body = ask(served, "POST", path, json.dumps(request).encode())
    answer: dict[str, Any] = json.loads(body)
    return status, answer
