"""podFailurePolicy: the first matching rule decides what a failed pod means."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.controllers.harness import World
from tests.controllers.job.jobs import (
    conditions,
    create,
    end,
    job,
    of_index,
    run,
    running,
    status,
    wait_until,
)

DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


def exit_codes(action: str, *values: int, operator: str = "In", **more: Any) -> dict[str, Any]:
    codes = {"operator": operator, "values": list(values), **more}
    return {"action": action, "onExitCodes": codes}


def test_fail_job_ends_it_at_once_and_says_which_rule() -> None:
    async def body(world: World) -> None:
        policy = {"rules": [exit_codes("Ignore", 7), exit_codes("FailJob", 42)]}
        await create(world, job(completions=2, parallelism=2, podFailurePolicy=policy))
        await wait_until(lambda: len(running(world)) == 2)
        pod = running(world)[0]
        end(world, pod, 42)
        await wait_until(lambda: "FailureTarget" in conditions(world))
        # The other pod must end before the Job does.
        await wait_until(lambda: "Failed" in conditions(world))
        assert conditions(world)["Failed"] == "PodFailurePolicy"
        name = pod["metadata"]["name"]
        [message] = {each["message"] for each in status(world)["conditions"]}
        assert message == (
            f"Container app for pod default/{name} failed with exit code 42 matching FailJob rule "
            "at index 1"
        )
        assert running(world) == []

    run(body)


def test_ignored_failures_count_for_nothing() -> None:
    async def body(world: World) -> None:
        policy = {"rules": [{"action": "Ignore", "onPodConditions": DISRUPTED}]}
        await create(world, job(backoffLimit=0, podFailurePolicy=policy))
        for _ in range(3):
            await wait_until(lambda: len(running(world)) == 1, 100)
            end(world, running(world)[0], 143, conditions=DISRUPTED)
        await wait_until(lambda: len(running(world)) == 1, 100)
        assert "failed" not in status(world)
        end(world, running(world)[0], 143)
        await wait_until(lambda: "Failed" in conditions(world))
        assert conditions(world)["Failed"] == "BackoffLimitExceeded"
        assert status(world)["failed"] == 1

    run(body)


def test_count_stops_the_search_for_a_rule() -> None:
    async def body(world: World) -> None:
        rules = [
            exit_codes("Count", 3, containerName="app"),
            exit_codes("FailJob", 1, 2, operator="NotIn"),
        ]
        await create(world, job(podFailurePolicy={"rules": rules}))
        for code in (3, 1):
            await wait_until(lambda: len(running(world)) == 1)
            end(world, running(world)[0], code)
            await trio.sleep(3)
            assert "FailureTarget" not in conditions(world)
        await wait_until(lambda: len(running(world)) == 1)
        end(world, running(world)[0], 9)
        await wait_until(lambda: conditions(world).get("Failed") == "PodFailurePolicy")
        assert status(world)["failed"] == 3

    run(body)


def test_fail_index_gives_up_one_index() -> None:
    async def body(world: World) -> None:
        policy = {"rules": [exit_codes("FailIndex", 13)]}
        counts = {"completions": 2, "parallelism": 2, "backoffLimitPerIndex": 9}
        await create(world, job(completionMode="Indexed", podFailurePolicy=policy, **counts))
        await wait_until(lambda: len(running(world)) == 2)
        end(world, of_index(world, 0)[0], 13)
        await wait_until(lambda: status(world).get("failedIndexes") == "0")
        await trio.sleep(30)
        assert of_index(world, 0) == []
        assert len(of_index(world, 1)) == 1

    run(body)


@pytest.mark.parametrize("status_of", ["Unknown", "False"])
def test_a_condition_must_have_the_status_of_the_pattern(status_of: str) -> None:
    async def body(world: World) -> None:
        pattern = {"type": "Odd", "status": status_of}
        policy = {"rules": [{"action": "FailJob", "onPodConditions": [pattern]}]}
        await create(world, job(podFailurePolicy=policy))
        await wait_until(lambda: len(running(world)) == 1)
        end(world, running(world)[0], 1, conditions=[{"type": "Odd", "status": "True"}])
        await trio.sleep(4)
        assert "FailureTarget" not in conditions(world)
        await wait_until(lambda: len(running(world)) == 1)
        pod = running(world)[0]
        end(world, pod, 1, conditions=[pattern])
        await wait_until(lambda: "Failed" in conditions(world))
        [message] = {each["message"] for each in status(world)["conditions"]}
        name = pod["metadata"]["name"]
        assert message == f"Pod default/{name} has condition Odd matching FailJob rule at index 0"

    run(body)
