"""The catch-up bench with a process for each member: over TCP, on directories, asked over gRPC.

Two of three members are filled by transactions of 128 puts. The third has never run; its first
start is what is measured. All processes, and that of the clients, share the cores of one machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import attrs
import trio

from benches.acknowledged import Puts, key_of
from benches.served import RaftstoreProcesses, raftstore_processes
from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError
from raftstore.gateway.client import open_client
from raftstore.wire import PutRequest

PUTS_PER_TXN: Final = 128
MAX_REQUEST_BYTES: Final = 1 << 20
FILLERS: Final = 8
REFRESH_S: Final = 0.25
# So far behind a member is no more than on its way.
SLACK_REVISIONS: Final = 1000


@attrs.define
class ProcessBench:
    """One run."""

    history_bytes: int
    value_bytes: int
    versions: int
    clients: int
    before_s: float
    on_progress: Callable[[str, int, int], None]
    figures: dict[str, Any] = attrs.Factory(dict)

    def run(self) -> None:
        """Start two members, fill them, start the third."""
        with raftstore_processes(3) as processes:
            processes.start(0)
            processes.start(1)
            leader = processes.wait_leader([0, 1])
            trio.run(self._measure, processes, leader)

    async def _measure(self, processes: RaftstoreProcesses, leader: str) -> None:
        revisions = self.history_bytes // (self.value_bytes + len(key_of(0)))
        keys = max(1, revisions // self.versions)
        async with (
            open_client(f"etcd://{leader}") as client,
            open_client(f"etcd://{processes.endpoints[2]}") as third,
            trio.open_nursery() as nursery,
        ):
            await self._fill(client, revisions, keys)
            puts = Puts(b"w" * self.value_bytes, keys)
            for number in range(self.clients):
                nursery.start_soon(puts.run, client, number * 1_000_003)
            await trio.sleep(self.before_s / 4)
            begin_ns = time.perf_counter_ns()
            with _cpu(processes, self.figures, "before"):
                await trio.sleep(self.before_s)
            started_ns = time.perf_counter_ns()
            with _cpu(processes, self.figures, "during"):
                transfer = await self._start_third(processes, client, third)
            caught_up_ns = time.perf_counter_ns()
            with _cpu(processes, self.figures, "after"):
                await trio.sleep(self.before_s)
            end_ns = time.perf_counter_ns()
            nursery.cancel_scope.cancel()
        spent = {name: self.figures[name] for name in ("before", "during", "after")}
        self.figures["before"] = puts.figures(begin_ns, started_ns) | spent["before"]
        self.figures["during"] = puts.figures(started_ns, caught_up_ns) | spent["during"]
        self.figures["after"] = puts.figures(caught_up_ns, end_ns) | spent["after"]
        self.figures["transfer"] = transfer | {"puts_failed": puts.failures}

    async def _fill(self, client: StoreClient, revisions: int, keys: int) -> None:
        value = b"v" * self.value_bytes
        batch = max(1, min(PUTS_PER_TXN, MAX_REQUEST_BYTES // (self.value_bytes + 64), keys))
        numbers = count(0, batch)

        async def work() -> None:
            for first in numbers:
                if first >= revisions:
                    return
                places = range(first, min(first + batch, revisions))
                puts = [PutRequest(key_of(place % keys), value) for place in places]
                await client.txn([], puts)
                self.on_progress("fill", first, revisions)

        async with trio.open_nursery() as nursery:
            for _ in range(FILLERS):
                nursery.start_soon(work)

    async def _start_third(
        self, processes: RaftstoreProcesses, client: StoreClient, third: StoreClient
    ) -> dict[str, Any]:
        before = await client.status()
        begin_s = time.monotonic()
        processes.start(2)
        installed_s = 0.0
        applied = 0
        while True:
            await trio.sleep(REFRESH_S)
            leader = await client.status()
            try:
                late = await third.status(timeout_ns=int(REFRESH_S * 1e9))
            except RaftStoreError:
                # Not up yet, or no member has answered in time.
                continue
            applied = late.raft_applied_index
            if applied > 1 and not installed_s:
                installed_s = time.monotonic() - begin_s
            self.on_progress("catch up", applied, leader.raft_applied_index)
            if applied + SLACK_REVISIONS > leader.raft_applied_index:
                break
        return {
            "seconds_to_install": round(installed_s, 2),
            "seconds_to_catch_up": round(time.monotonic() - begin_s, 2),
            "terms_begun": leader.raft_term - before.raft_term,
        }


@contextmanager
def _cpu(processes: RaftstoreProcesses, figures: dict[str, Any], phase: str) -> Iterator[None]:
    """Note which share of a core each member had: with two cores for four processes, a limit."""
    begin_s, before = time.monotonic(), processes.cpu_seconds()
    yield
    taken_s = time.monotonic() - begin_s
    after = processes.cpu_seconds()
    shares = [round(100 * (after[n] - before.get(n, 0.0)) / taken_s) for n in sorted(after)]
    figures[phase] = {"cpu_percent_of_members": " ".join(map(str, shares))}
