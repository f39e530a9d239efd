"""A cluster in a process of its own, served over HTTPS, and what a load needs to ask it."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from benches.ports import unused_ports

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.2
NAMESPACE: Final = "default"
_CLEAR_PEAK: Final = "5"
_KILOBYTES_PER_MB: Final = 1024

Object = dict[str, Any]


class ServingError(Exception):
    """The cluster could not be started, or refused what it should take."""


@attrs.frozen
class ServedApi:
    """A running cluster of one node; `token` is the administrator's."""

    port: int
    process: subprocess.Popen[bytes]
    context: ssl.SSLContext
    token: str = attrs.field(repr=False)

    @property
    def url(self) -> str:
        """Of the API, without a slash at the end."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {"authorization": f"Bearer {self.token}"}

    def ask(self, path: str, body: Object | None = None, accept: str = "application/json") -> bytes:
        """The answer to a GET, or to a POST of `body`.

        Raises:
            ServingError: it is a refusal.
        """
        headers = {**self.headers, "accept": accept, "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, context=self.context) as answer:  # noqa: S310
                found: bytes = answer.read()
        except urllib.error.HTTPError as error:
            raise ServingError(f"{path}: {error.code} {error.read()[:200]!r}") from error
        return found

    def cpu_seconds(self) -> float:
        """Processor time that the server has taken."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def forget_peak(self) -> None:
        """Let the highest memory so far be the present one."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text(_CLEAR_PEAK)

    def memory_mb(self) -> tuple[float, float]:
        """Resident memory: now, and its highest since `forget_peak`."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        found = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
        now, peak = (int(found[name].split()[0]) for name in ("VmRSS", "VmHWM"))
        return now / _KILOBYTES_PER_MB, peak / _KILOBYTES_PER_MB


@contextmanager
def served_api() -> Iterator[ServedApi]:
    """A cluster of one control plane and one node, on an unused port.

    Raises:
        ServingError: it does not start.
    """
    port, token = unused_ports(1)[0], secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="k8sactors-") as name:
        directory = Path(name)
        tokens = directory / "tokens.csv"
        tokens.write_text(f'{token},bench,bench,"system:masters"\n')
        command = [sys.executable, "-m", "k8sactors", "serve", f"--port={port}"]
        command += ["--workers=1", f"--cert-dir={directory}", f"--token-auth-file={tokens}"]
        command += [f"--kubeconfig={directory / 'kubeconfig'}"]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - ours
        try:
            yield _ready(port, process, token, directory)
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(port: int, process: subprocess.Popen[bytes], token: str, directory: Path) -> ServedApi:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    refusal: Exception | None = None
    while time.monotonic() < deadline_s and process.poll() is None:
        if (directory / "ca.crt").exists():
            context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
            served = ServedApi(port, process, context, token)
            try:
                # Pods need it, and a controller makes it.
                served.ask(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default")
            except (OSError, ServingError) as error:
                refusal = error
            else:
                return served
        time.sleep(POLL_S)
    text = (directory / "log").read_text(errors="replace")[-500:]
    raise ServingError(f"the cluster did not start: {refusal}\n{text}")
