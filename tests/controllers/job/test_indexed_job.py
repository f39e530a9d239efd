"""Indexed Jobs: each index once; limits per index; success policies."""

from __future__ import annotations

import pytest
import trio

from tests.controllers.harness import World
from tests.controllers.job.jobs import (
    INDEX,
    conditions,
    create,
    end,
    job,
    of_index,
    patch,
    run,
    running,
    status,
    wait_until,
)

FAILURES = "batch.kubernetes.io/job-index-failure-count"


@pytest.mark.covers("WL-36")
def test_a_pod_learns_its_index_in_every_way_that_there_is() -> None:
    async def body(world: World) -> None:
        await create(world, job(completionMode="Indexed", completions=3, parallelism=2))
        await wait_until(lambda: len(running(world)) == 2)
        [pod] = of_index(world, 1)
        metadata = pod["metadata"]
        assert metadata["name"].startswith("work-1-")
        assert metadata["labels"][INDEX] == "1"
        assert pod["spec"]["hostname"] == "work-1"
        [variable] = pod["spec"]["containers"][0]["env"]
        assert variable["name"] == "JOB_COMPLETION_INDEX"
        path = variable["valueFrom"]["fieldRef"]["fieldPath"]
        assert path == f"metadata.labels['{INDEX}']"

    run(body)


def test_each_index_is_done_once_and_the_lowest_come_first() -> None:
    async def body(world: World) -> None:
        await create(world, job(completionMode="Indexed", completions=6, parallelism=3))
        order: list[int] = []
        while "Complete" not in conditions(world):
            for pod in running(world):
                index = int(pod["metadata"]["annotations"][INDEX])
                # Index 2 fails once: it is tried again.
                code = int(index == 2 and index not in order)
                order.append(index)
                end(world, pod, code)
            await trio.sleep(2)
        assert sorted(order) == [0, 1, 2, 2, 3, 4, 5]
        assert order[:3] == [0, 1, 2]
        assert status(world)["completedIndexes"] == "0-5"
        assert (status(world)["succeeded"], status(world)["failed"]) == (6, 1)

    run(body)


def test_a_second_pod_of_an_index_is_removed() -> None:
    async def body(world: World) -> None:
        await create(world, job(completionMode="Indexed", completions=2, parallelism=2))
        await wait_until(lambda: len(running(world)) == 2)
        [pod] = of_index(world, 0)
        double = {**pod, "metadata": {**pod["metadata"], "name": "work-0-twin"}}
        for field in ("uid", "resourceVersion"):
            del double["metadata"][field]
        world.put("pods", double)
        await trio.sleep(4)
        assert len(of_index(world, 0)) == 1
        assert len(running(world)) == 2

    run(body)


def test_completions_of_an_elastic_job_change_together_with_parallelism() -> None:
    async def body(world: World) -> None:
        await create(world, job(completionMode="Indexed", completions=4, parallelism=4))
        await wait_until(lambda: len(running(world)) == 4)
        await patch(world, completions=2, parallelism=2)
        await wait_until(lambda: len(running(world)) == 2)
        assert [len(of_index(world, index)) for index in range(4)] == [1, 1, 0, 0]

    run(body)


def test_an_index_that_fails_too_often_is_given_up_and_the_others_reach_their_end() -> None:
    async def body(world: World) -> None:
        counts = {"completions": 3, "parallelism": 3, "backoffLimitPerIndex": 1}
        await create(world, job(completionMode="Indexed", **counts))
        await wait_until(lambda: len(running(world)) == 3)
        end(world, of_index(world, 1)[0], 1)
        await wait_until(lambda: len(of_index(world, 1)) == 1)
        [again] = of_index(world, 1)
        assert again["metadata"]["annotations"][FAILURES] == "1"
        end(world, again, 1)
        await wait_until(lambda: status(world).get("failedIndexes") == "1")
        await trio.sleep(60)
        assert of_index(world, 1) == []
        for index in (0, 2):
            end(world, of_index(world, index)[0])
        await wait_until(lambda: "Failed" in conditions(world))
        assert conditions(world)["Failed"] == "FailedIndexes"
        final = status(world)
        assert (final["completedIndexes"], final["succeeded"], final["failed"]) == ("0,2", 2, 2)

    run(body)


def test_each_index_waits_for_itself() -> None:
    async def body(world: World) -> None:
        counts = {"completions": 2, "parallelism": 2, "backoffLimitPerIndex": 5}
        await create(world, job(completionMode="Indexed", **counts))
        await wait_until(lambda: len(running(world)) == 2)
        delays = []
        for _ in range(3):
            end(world, of_index(world, 0)[0], 1)
            ended = trio.current_time()
            await wait_until(lambda: len(of_index(world, 0)) == 1, 100)
            delays.append(round((trio.current_time() - ended) / 10))
        end(world, of_index(world, 1)[0], 1)
        ended = trio.current_time()
        await wait_until(lambda: len(of_index(world, 1)) == 1, 100)
        delays.append(round((trio.current_time() - ended) / 10))
        assert delays == [1, 2, 4, 1]

    run(body)


def test_too_many_failed_indexes_end_the_job() -> None:
    async def body(world: World) -> None:
        counts = {"completions": 5, "parallelism": 5, "backoffLimitPerIndex": 0}
        await create(world, job(completionMode="Indexed", maxFailedIndexes=1, **counts))
        await wait_until(lambda: len(running(world)) == 5)
        for index in (0, 4):
            assert "Failed" not in conditions(world)
            end(world, of_index(world, index)[0], 1)
            await trio.sleep(3)
        await wait_until(lambda: "Failed" in conditions(world))
        assert conditions(world)["Failed"] == "MaxFailedIndexesExceeded"
        assert status(world)["failedIndexes"] == "0,4"
        assert running(world) == []

    run(body)


@pytest.mark.parametrize(
    ("rules", "succeed", "met"),
    [
        ([{"succeededIndexes": "0,2-3"}], (0, 2, 3), 0),
        ([{"succeededCount": 2}], (4, 1), 0),
        ([{"succeededIndexes": "4"}, {"succeededIndexes": "0-2", "succeededCount": 2}], (2, 0), 1),
    ],
    ids=["indexes", "count", "count of indexes"],
)
def test_a_success_policy_ends_the_job_early(
    rules: list[dict[str, object]], succeed: tuple[int, ...], met: int
) -> None:
    async def body(world: World) -> None:
        counts = {"completions": 5, "parallelism": 5, "successPolicy": {"rules": rules}}
        await create(world, job(completionMode="Indexed", **counts))
        await wait_until(lambda: len(running(world)) == 5)
        for index in succeed:
            assert conditions(world) == {}
            end(world, of_index(world, index)[0])
            await trio.sleep(2.5)
        await wait_until(lambda: "Complete" in conditions(world))
        assert conditions(world) == {
            "SuccessCriteriaMet": "SuccessPolicy",
            "Complete": "SuccessPolicy",
        }
        said = {each["message"] for each in status(world)["conditions"]}
        assert said == {f"Matched rules at index {met}"}
        assert running(world) == []
        # Pods that are no longer needed have not failed.
        assert "failed" not in status(world)

    run(body)
