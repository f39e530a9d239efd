"""Client tasks that put, and when they had their answers."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any, Final

import attrs

from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError

# Keys are not put in their order.
STEP: Final = 7919


def key_of(number: int) -> bytes:
    """The keys of a bench are numbered."""
    return b"bench/%08d" % number


@attrs.define
class Puts:
    """Client tasks that put one key after another, and when each was acknowledged."""

    value: bytes
    keys: int
    failures: int = 0
    done_ns: list[int] = attrs.Factory(list)
    latencies_ns: list[int] = attrs.Factory(list)

    async def run(self, client: StoreClient, number: int) -> None:
        """Put forever."""
        while True:
            number += 1
            begin_ns = time.perf_counter_ns()
            try:
                await client.put(key_of(number * STEP % self.keys), self.value)
            except RaftStoreError:
                self.failures += 1
                continue
            end_ns = time.perf_counter_ns()
            self.done_ns.append(end_ns)
            self.latencies_ns.append(end_ns - begin_ns)

    def figures(self, begin_ns: int, end_ns: int) -> dict[str, Any]:
        """What the clients saw from one moment to another.

        To be asked when nothing is measured any more: to sort a million latencies takes a second.
        """
        chosen = [
            (done_ns, latency_ns)
            for done_ns, latency_ns in zip(self.done_ns, self.latencies_ns, strict=True)
            if begin_ns <= done_ns < end_ns
        ]
        latencies_ns = sorted(latency_ns for _, latency_ns in chosen)
        times_ns = [begin_ns, *sorted(done_ns for done_ns, _ in chosen), end_ns]
        count = len(chosen)
        gaps_ns = [after - before for before, after in pairwise(times_ns)]
        return {
            "seconds": round((end_ns - begin_ns) / 1e9, 2),
            "puts_per_second": round(count * 1e9 / (end_ns - begin_ns)),
            "p50_ms": round(latencies_ns[count // 2] / 1e6, 2) if count else None,
            "p99_ms": round(latencies_ns[count * 99 // 100] / 1e6, 2) if count else None,
            "longest_gap_ms": round(max(gaps_ns) / 1e6, 1),
        }
