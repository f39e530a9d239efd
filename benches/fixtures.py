"""How long the pytest fixtures take to start: median, fastest and slowest of many.

    python -m benches.fixtures --starts 30

The first start of each pays for imports, and `k8s_api`'s for its process; it is stated apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import trio

from k8sactors.testing.api import ApiProcess
from k8sactors.testing.cluster import ONE_NODE, K8sCluster, run_with


def start_cluster(seed: int) -> float:
    """Seconds until a test with `k8s_cluster` begins."""
    begun: list[float] = []

    async def main() -> None:
        begun.append(time.perf_counter())
        await trio.lowlevel.checkpoint()

    start = time.perf_counter()
    run_with(K8sCluster(ONE_NODE), main, seed=seed)
    return begun[0] - start


def start_api(process: ApiProcess, seed: int) -> float:
    """Seconds until a test with `k8s_api` begins."""
    start = time.perf_counter()
    with process.cluster(ONE_NODE, seed):
        return time.perf_counter() - start


def report(name: str, starts: int, measure: Callable[[int], float]) -> None:
    """Measure and print."""
    first = measure(0)
    took = sorted(measure(seed) for seed in range(1, starts + 1))
    print(
        f"{name:12} median {statistics.median(took) * 1e3:6.1f} ms, "
        f"fastest {took[0] * 1e3:6.1f}, slowest {took[-1] * 1e3:6.1f}, first {first * 1e3:7.1f}"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=30)
    starts = parser.parse_args().starts
    report("k8s_cluster", starts, start_cluster)
    process = ApiProcess()
    report("k8s_api", starts, lambda seed: start_api(process, seed))
    process.stop()


if __name__ == "__main__":
    main()
