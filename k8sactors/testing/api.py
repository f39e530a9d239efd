"""A cluster behind a URL, in a process of its own: the test's end.

The process lives as long as the test session and runs one cluster at a time, each on real time. The
two ends exchange lines of JSON over pipes: `[method, arguments]`, answered by `["ok", value]` or
`["error", type, text]`. When the test session dies, its end of the pipe closes, and the process
ends.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from k8sactors.cluster.spec import ClusterSpec
from k8sactors.testing.fault_helpers import FaultHandle, FaultHelpers
from k8sactors.testing.request import ReceivedRequest

Object = dict[str, Any]


class K8sApiError(Exception):
    """The cluster in the other process refused what was asked, or is gone."""


class ApiProcess:
    """A process that runs one cluster after the other; started at first use."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def cluster(self, spec: ClusterSpec, seed: int = 0) -> Iterator[K8sApi]:
        """Run a cluster while the block does.

        Raises:
            K8sApiError: it did not come up.
        """
        fields = attrs.asdict(spec, recurse=False, filter=_is_plain)
        endpoint = self.call("start", seed, fields)
        process = self._process
        with tempfile.TemporaryDirectory(prefix="k8s-api-") as directory:
            try:
                yield K8sApi(self, endpoint, Path(directory))
            finally:
                # A process that has died has no cluster to stop, and the next one starts afresh.
                if self._process is process:
                    self.call("stop")

    def call(self, method: str, *arguments: Any) -> Any:
        """Ask the process.

        Raises:
            ValueError: as the method raised it there.
            K8sApiError: another error there, or the process is gone.
        """
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([method, arguments]).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            self.stop()
            raise K8sApiError(f"the process of k8s_api has ended with {process.returncode}")
        answer = json.loads(line)
        if answer[0] == "ok":
            return answer[1]
        if answer[1] == "ValueError":
            raise ValueError(answer[2])
        raise K8sApiError(f"{answer[1]}: {answer[2]}")

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            # Closes the pipes, which ends it, and waits for that.
            with suppress(BrokenPipeError):
                process.communicate()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "k8sactors.testing.api_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        return self._process


class K8sApi(FaultHelpers):
    """A cluster on real time: where it is served, and what a test does with it besides."""

    def __init__(self, process: ApiProcess, endpoint: Object, directory: Path) -> None:
        self._process = process
        self._kubeconfig: Object = endpoint["kubeconfig"]
        self._directory = directory
        # Such as "https://127.0.0.1:40123".
        self.url: str = endpoint["url"]

    def kubeconfig(self) -> Object:
        """A configuration for clients, as an object."""
        return self._kubeconfig

    @property
    def kubeconfig_path(self) -> Path:
        """The same in a file, which is there for as long as the test."""
        path = self._directory / "kubeconfig"
        if not path.exists():
            path.write_text(json.dumps(self._kubeconfig), encoding="utf-8")
        return path

    def ssl_context(self) -> ssl.SSLContext:
        """For clients that take one: knows the server's authority, shows the administrator."""
        cluster = self._kubeconfig["clusters"][0]["cluster"]
        user = self._kubeconfig["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        path = self._directory / "client.pem"
        fields = ("client-certificate-data", "client-key-data")
        path.touch(mode=0o600)
        path.write_bytes(b"\n".join(base64.b64decode(user[field]) for field in fields))
        context.load_cert_chain(path)
        return context

    def apply(self, manifests: str | Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Apply YAML text or objects in order; returns what became of each.

        Raises:
            K8sApiError: an object was refused; those before it are applied.
        """
        given = manifests if isinstance(manifests, str) else [dict(each) for each in manifests]
        outcomes: dict[str, str] = self._process.call("apply", given)
        return outcomes

    def delete(self, manifests: str | Iterable[Mapping[str, Any]]) -> None:
        """Delete what the manifests name; what is gone already does not matter.

        Raises:
            K8sApiError: a deletion was refused.
        """
        given = manifests if isinstance(manifests, str) else [dict(each) for each in manifests]
        self._process.call("delete", given)

    def wait_available(
        self, workload: str, namespace: str = "default", *, timeout_s: float = 30.0
    ) -> None:
        """Wait until a workload (`deployments.apps/web`) has all its replicas available.

        Raises:
            K8sApiError: it has not, in time.
        """
        self._process.call("wait_available", workload, namespace, timeout_s)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What the API servers have received, from all users, components among them."""
        return [ReceivedRequest(*fields) for fields in self._process.call("requests")]

    def order(self, kind: str, pattern: dict[str, Any], settings: dict[str, Any]) -> FaultHandle:
        """Order a fault, in the other process."""
        number = self._process.call("order", kind, pattern, settings)
        return FaultHandle(
            lambda: int(self._process.call("hits", number)),
            lambda: self._process.call("end", number),
        )


def _is_plain(_field: Any, value: Any) -> bool:
    return isinstance(value, str | int | float | tuple | None)
