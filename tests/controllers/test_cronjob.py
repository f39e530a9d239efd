"""CronJobs start Jobs at their times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import trio

from k8sactors.api import errors
from k8sactors.api.meta import format_time
from k8sactors.controllers.manager import ControllerManagerConfig
from k8sactors.testing import ReceivedRequest
from tests.controllers import harness
from tests.controllers.harness import World

Object = dict[str, Any]
CRON_JOBS, JOBS = "cronjobs.batch", "jobs.batch"
CONFIG = ControllerManagerConfig(controllers=("cronjob-controller",))
run = partial(harness.run, config=CONFIG)
MINUTE = 60


def cron_job(schedule: str = "*/5 * * * *", **spec: Any) -> Object:
    template = harness.template("tick")
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {
            "schedule": schedule,
            "jobTemplate": {"metadata": {"labels": {"of": "tick"}}, "spec": {"template": template}},
            **spec,
        },
    }


async def create(world: World, obj: Object) -> None:
    await world.network.hosts["console"].actor("kubectl").client.create(CRON_JOBS, obj)


async def patch(world: World, **spec: Any) -> None:
    client = world.network.hosts["console"].actor("kubectl").client
    await client.patch(CRON_JOBS, "tick", {"spec": spec}, "default")


def jobs(world: World) -> list[Object]:
    return sorted(world.store.list(JOBS), key=lambda job: job["metadata"]["name"])


def times(world: World) -> list[str]:
    """Hour and minute (UTC) in the names of the Jobs."""
    minutes = [int(job["metadata"]["name"].removeprefix("tick-")) for job in jobs(world)]
    return [datetime.fromtimestamp(each * 60, UTC).strftime("%H:%M") for each in minutes]


def end(world: World, job: Object, kind: str = "Complete") -> None:
    now = format_time(world.wall_ns)
    status = {
        "startTime": job["metadata"]["creationTimestamp"],
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now}],
    }
    if kind == "Complete":
        status["completionTime"] = now
    world.store.edit(JOBS, job["metadata"]["name"], "default", status=status)


def status(world: World) -> Object:
    found: Object = world.store.get(CRON_JOBS, "tick", "default").get("status") or {}
    return found


@pytest.mark.covers("WL-38", "CT-31")
def test_a_job_is_made_at_each_time_and_named_after_it() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job())
        await trio.sleep(16 * MINUTE)
        assert times(world) == ["00:05", "00:10", "00:15"]
        job = jobs(world)[0]
        metadata = job["metadata"]
        assert metadata["creationTimestamp"] == "2025-01-01T00:05:00Z"
        assert metadata["labels"] == {"of": "tick"}
        assert metadata["annotations"] == {
            "batch.kubernetes.io/cronjob-scheduled-timestamp": "2025-01-01T00:05:00Z"
        }
        assert metadata["ownerReferences"][0]["controller"] is True
        assert [each["name"] for each in status(world)["active"]] == [
            each["metadata"]["name"] for each in jobs(world)
        ]
        assert status(world)["lastScheduleTime"] == "2025-01-01T00:15:00Z"
        end(world, job)
        await trio.sleep(1)
        assert len(status(world)["active"]) == 2
        assert status(world)["lastSuccessfulTime"] == "2025-01-01T00:16:01Z"
        assert world.events("SawCompletedJob")

    run(body)


def test_a_time_zone_moves_the_schedule() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job("30 9 * * *", timeZone="Asia/Tokyo"))
        await trio.sleep(35 * MINUTE)
        assert times(world) == ["00:30"]
        note = jobs(world)[0]["metadata"]["annotations"]
        assert list(note.values()) == ["2025-01-01T09:30:00+09:00"]

    run(body)


def test_forbid_waits_for_the_end_of_the_job_before() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job(concurrencyPolicy="Forbid"))
        await trio.sleep(12 * MINUTE)
        assert times(world) == ["00:05"]
        assert world.events("JobAlreadyActive")
        end(world, jobs(world)[0])
        await trio.sleep(1)
        # The time that was missed is made up for.
        assert times(world) == ["00:05", "00:10"]

    run(body)


def test_replace_deletes_the_job_before() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job(concurrencyPolicy="Replace"))
        await trio.sleep(11 * MINUTE)
        assert times(world) == ["00:10"]
        assert len(status(world)["active"]) == 1
        assert len(world.events("SuccessfulDelete")) == 1

    run(body)


def test_history_limits_keep_the_newest() -> None:
    async def body(world: World) -> None:
        limits = {"successfulJobsHistoryLimit": 2, "failedJobsHistoryLimit": 1}
        await create(world, cron_job("* * * * *", **limits))
        for number in range(6):
            await trio.sleep(MINUTE)
            end(world, jobs(world)[-1], "Failed" if number in {1, 3} else "Complete")
        await trio.sleep(1)
        assert times(world) == ["00:04", "00:05", "00:06"]

    run(body)


def test_a_suspended_one_starts_nothing_and_then_makes_up_for_the_last_time() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job(suspend=True))
        await trio.sleep(18 * MINUTE)
        assert jobs(world) == []
        await patch(world, suspend=False)
        await trio.sleep(1)
        assert times(world) == ["00:15"]

    run(body)


def test_a_start_that_comes_too_late_is_missed() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job(startingDeadlineSeconds=90))
        await trio.sleep(4 * MINUTE)
        world.stop_manager()
        await trio.sleep(3 * MINUTE)
        world.start_manager()
        await trio.sleep(1)
        assert jobs(world) == []
        world.stop_manager()
        await trio.sleep(4 * MINUTE)
        world.start_manager()
        await trio.sleep(1)
        assert times(world) == ["00:10"]

    run(body)


def test_many_missed_times_are_told_and_only_the_last_is_started() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job("* * * * *"))
        await trio.sleep(2)
        world.stop_manager()
        await trio.sleep(130 * MINUTE)
        world.start_manager()
        await trio.sleep(1)
        assert times(world) == ["02:10"]
        [told] = world.events("TooManyMissedTimes")
        assert told.startswith("too many missed start times. Set or decrease")

    run(body)


def test_a_new_schedule_begins_with_its_next_time() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job("0 12 * * *"))
        await trio.sleep(7 * MINUTE)
        await patch(world, schedule="*/5 * * * *")
        await trio.sleep(MINUTE)
        assert jobs(world) == []
        await trio.sleep(3 * MINUTE)
        assert times(world) == ["00:10"]

    run(body)


def test_no_time_is_started_twice_when_the_status_was_not_written() -> None:
    async def body(world: World) -> None:
        def refuse(request: ReceivedRequest) -> None:
            if request[:2] == ("update", CRON_JOBS):
                raise errors.internal_error("lost")

        world.control_plane.refuse = refuse
        await create(world, cron_job())
        await trio.sleep(5 * MINUTE + 20)
        assert times(world) == ["00:05"]
        assert "active" not in status(world)
        world.stop_manager()
        world.control_plane.refuse = None
        world.start_manager()
        await trio.sleep(2)
        assert times(world) == ["00:05"]
        assert len(status(world)["active"]) == 1

    run(body)


def test_a_job_that_vanished_is_told_and_forgotten() -> None:
    async def body(world: World) -> None:
        await create(world, cron_job(concurrencyPolicy="Forbid"))
        await trio.sleep(5 * MINUTE + 1)
        world.store.remove(JOBS, jobs(world)[0]["metadata"]["name"], "default")
        await trio.sleep(1)
        assert "active" not in status(world)
        assert len(world.events("MissingJob")) == 1
        await trio.sleep(5 * MINUTE)
        assert times(world) == ["00:10"]

    run(body)


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({"schedule": "61 * * * *"}, "UnparseableSchedule", "end of range (61) above maximum (59)"),
        ({"timeZone": "Mars/Olympus"}, "UnknownTimeZone", "unknown time zone Mars/Olympus"),
    ],
)
def test_what_an_older_server_has_let_in_is_reported_and_others_run(
    spec: Object, reason: str, message: str
) -> None:
    async def body(world: World) -> None:
        wrong = cron_job()
        wrong["metadata"]["name"] = "wrong"
        wrong["spec"] |= spec
        world.put(CRON_JOBS, wrong)
        await create(world, cron_job())
        await trio.sleep(6 * MINUTE)
        assert times(world) == ["00:05"]
        assert message in world.events(reason)[0]

    run(body)
