"""Batches that double, and how they end."""

from __future__ import annotations

import trio

from k8sactors import simulation
from k8sactors.api import errors
from k8sactors.controllers.machinery.pod_control import slow_start_batch


async def batches(count: int, fails_at: int | None = None) -> tuple[list[int], int, int]:
    """How many steps ran at the same time, batch by batch; successes; errors."""
    sizes: list[int] = []
    started = 0

    async def step() -> None:
        nonlocal started
        started += 1
        number, now = started, trio.current_time()
        if not sizes or now != times[-1]:
            sizes.append(0)
            times.append(now)
        sizes[-1] += 1
        await trio.sleep(1)
        if number == fails_at:
            raise errors.forbidden("pods", "", "exceeded quota")

    times: list[float] = []
    successes, refusals = await slow_start_batch(count, step)
    return sizes, successes, len(refusals)


def test_batches_double_until_all_is_done() -> None:
    async def main() -> None:
        assert await batches(12) == ([1, 2, 4, 5], 12, 0)
        assert await batches(0) == ([], 0, 0)

    simulation.run(main)


def test_no_batch_follows_one_with_a_refusal() -> None:
    async def main() -> None:
        assert await batches(500, fails_at=1) == ([1], 0, 1)
        # The rest of the batch is not given up.
        assert await batches(500, fails_at=2) == ([1, 2], 2, 1)

    simulation.run(main)
