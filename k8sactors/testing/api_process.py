"""A cluster behind a URL, in a process of its own: the process (see `api`)."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import Any, Final

import trio

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.cluster import ClusterSpec
from k8sactors.cluster.cluster import LOOPBACK
from k8sactors.cluster.errors import ClusterError
from k8sactors.gateway.endpoint import ServerTls
from k8sactors.gateway.pki import Pki
from k8sactors.simulation import SECOND, CatchingUpClock
from k8sactors.testing.cluster import K8sCluster
from k8sactors.testing.fault_helpers import FaultHandle

# Longer than a cluster takes to come up, in its own time.
BEHIND_NS: Final = 12 * SECOND
READ_BYTES: Final = 1 << 16

_EXPECTED: Final = (StatusError, ClusterError, ValueError, OSError)


class Lines:
    """Commands and answers, over two file descriptors."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._buffer = bytearray()

    def read(self) -> list[Any] | None:
        """The next command, waiting for it; None at the end."""
        while b"\n" not in self._buffer:
            data = os.read(self._commands, READ_BYTES)
            if not data:
                return None
            self._buffer += data
        return self._take()

    async def read_soon(self) -> list[Any] | None:
        """The same inside a simulation."""
        while b"\n" not in self._buffer:
            await trio.lowlevel.wait_readable(self._commands)
            data = os.read(self._commands, READ_BYTES)
            if not data:
                return None
            self._buffer += data
        return self._take()

    def _take(self) -> list[Any]:
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        command: list[Any] = json.loads(line)
        return command

    def answer(self, *answer: Any) -> None:
        """Answer the last command."""
        data = json.dumps(answer).encode() + b"\n"
        while data:
            data = data[os.write(self._answers, data) :]


class Commands:
    """What a test may ask of a running cluster; each method is a command."""

    def __init__(self, cluster: K8sCluster) -> None:
        self._cluster = cluster
        self._faults: list[FaultHandle] = []

    async def apply(self, manifests: Any) -> dict[str, str]:
        """Apply manifests."""
        return {
            key: str(outcome) for key, outcome in (await self._cluster.apply(manifests)).items()
        }

    async def delete(self, manifests: Any) -> None:
        """Delete what manifests name."""
        await self._cluster.delete(manifests)

    async def wait_available(self, workload: str, namespace: str, timeout_s: float) -> None:
        """Wait for a workload."""
        await self._cluster.wait_available(workload, namespace, timeout_s=timeout_s)

    async def requests(self) -> list[Any]:
        """The requests that were received."""
        return [list(request) for request in self._cluster.requests]

    async def order(self, kind: str, pattern: dict[str, Any], settings: dict[str, Any]) -> int:
        """Order a fault; returns its number."""
        self._faults.append(self._cluster.faults.order(kind, pattern, settings))
        return len(self._faults) - 1

    async def hits(self, number: int) -> int:
        """How often a fault has struck."""
        return self._faults[number].hits

    async def end(self, number: int) -> None:
        """End a fault."""
        self._faults[number].end()


@cache
def _tls() -> ServerTls:
    """How all clusters of this process are served: making certificates takes a while."""
    return Pki.create(simulation.current().wall_ns(), [LOOPBACK]).server_tls()


async def _serve(spec: ClusterSpec, lines: Lines) -> bool:
    """Run a cluster until it is to stop; whether more commands may come."""
    cluster = K8sCluster(spec)
    async with cluster.running(), cluster.serve(tls=_tls()) as endpoint:
        commands = Commands(cluster)
        lines.answer("ok", {"url": endpoint.url, "kubeconfig": endpoint.kubeconfig()})
        while (command := await lines.read_soon()) is not None:
            method, arguments = command
            if method == "stop":
                return True
            try:
                value = await getattr(commands, method)(*arguments)
            except _EXPECTED as error:
                lines.answer("error", type(error).__name__, str(error))
            else:
                lines.answer("ok", value)
    return False


def main() -> None:
    """Run clusters as they are ordered, until the other end has closed."""
    answers = os.dup(1)
    # What anything prints must not be taken for an answer.
    os.dup2(2, 1)
    lines = Lines(0, answers)
    while (command := lines.read()) is not None:
        method, arguments = command
        if method != "start":
            lines.answer("error", "ValueError", "no cluster runs")
            continue
        seed, fields = arguments
        try:
            spec = ClusterSpec(**fields)
            clock = CatchingUpClock(BEHIND_NS)
            more = simulation.run(_serve, spec, lines, seed=seed, clock=clock)
        except _EXPECTED as error:
            lines.answer("error", type(error).__name__, str(error))
            continue
        if not more:
            return
        lines.answer("ok", None)


if __name__ == "__main__":
    main()
    sys.exit()
