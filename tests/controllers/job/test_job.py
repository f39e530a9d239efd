"""Jobs run pods until enough have succeeded."""

from __future__ import annotations

import pytest
import trio

from k8sactors.api import errors
from k8sactors.testing import ReceivedRequest
from tests.controllers.harness import World, bare_pod
from tests.controllers.job.jobs import (
    FINALIZER,
    JOBS,
    conditions,
    create,
    end,
    job,
    patch,
    run,
    running,
    status,
    wait_until,
)


@pytest.mark.covers("WL-35", "WL-36", "CT-31")
def test_runs_as_many_pods_at_once_as_it_may_until_enough_have_succeeded() -> None:
    async def body(world: World) -> None:
        await create(world, job(completions=5, parallelism=2))
        for _ in range(5):
            await wait_until(lambda: len(running(world)) > 0)
            assert len(running(world)) <= 2
            end(world, running(world)[0])
        await wait_until(lambda: "Complete" in conditions(world))
        final = status(world)
        assert (final["succeeded"], final.get("failed"), final.get("active")) == (5, None, None)
        assert (final["ready"], final["terminating"]) == (0, 0)
        assert final["uncountedTerminatedPods"] == {}
        assert final["completionTime"] >= final["startTime"]
        reached = "CompletionsReached"
        assert conditions(world) == {"SuccessCriteriaMet": reached, "Complete": reached}
        assert len(world.pods()) == 5
        assert all("finalizers" not in pod["metadata"] for pod in world.pods())
        assert world.events("Completed") == ["Job completed"]

    run(body)


def test_pods_bear_the_selector_labels_and_the_finalizer() -> None:
    async def body(world: World) -> None:
        created = await create(world, job())
        await wait_until(lambda: len(running(world)) == 1)
        [pod] = running(world)
        metadata, uid = pod["metadata"], created["metadata"]["uid"]
        assert metadata["labels"]["batch.kubernetes.io/controller-uid"] == uid
        assert metadata["labels"]["job-name"] == "work"
        assert metadata["finalizers"] == [FINALIZER]
        assert metadata["ownerReferences"][0]["uid"] == uid
        wanted = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        assert created["spec"]["selector"] == wanted

    run(body)


def test_a_work_queue_is_done_when_one_pod_has_succeeded_and_the_others_have_ended() -> None:
    async def body(world: World) -> None:
        await create(world, job(parallelism=3))
        await wait_until(lambda: len(running(world)) == 3)
        first, second, third = running(world)
        end(world, first)
        await trio.sleep(3)
        assert len(running(world)) == 2
        end(world, second, 1)
        await trio.sleep(30)
        assert len(running(world)) == 1
        assert "Complete" not in conditions(world)
        end(world, third)
        await wait_until(lambda: "Complete" in conditions(world))
        assert (status(world)["succeeded"], status(world)["failed"]) == (2, 1)

    run(body)


def test_failed_pods_are_replaced_after_a_delay_that_doubles() -> None:
    async def body(world: World) -> None:
        await create(world, job())
        delays = []
        for _ in range(4):
            await wait_until(lambda: len(running(world)) == 1, 200)
            end(world, running(world)[0], 1)
            ended = trio.current_time()
            await wait_until(lambda: len(running(world)) == 1, 200)
            delays.append(trio.current_time() - ended)
        # Times in objects are whole seconds.
        assert [round(delay / 10) for delay in delays] == [1, 2, 4, 8]

    run(body)


def test_a_success_ends_the_back_off() -> None:
    async def body(world: World) -> None:
        await create(world, job(completions=3))
        for code in (1, 1, 0, 1):
            await wait_until(lambda: len(running(world)) == 1)
            await trio.sleep(2)
            end(world, running(world)[0], code)
            ended = trio.current_time()
        await wait_until(lambda: len(running(world)) == 1)
        assert 8 <= trio.current_time() - ended <= 11

    run(body)


@pytest.mark.covers("WL-36", "X-52")
def test_fails_with_the_failure_after_the_last_one_that_it_may_have() -> None:
    async def body(world: World) -> None:
        await create(world, job(backoffLimit=3, completions=2, parallelism=2))
        for number in range(4):
            await wait_until(lambda: len(running(world)) == 2, 200)
            assert "Failed" not in conditions(world), number
            end(world, running(world)[0], 1)
            await trio.sleep(3)
        await wait_until(lambda: "Failed" in conditions(world))
        reason = "BackoffLimitExceeded"
        assert conditions(world) == {"FailureTarget": reason, "Failed": reason}
        # The pod that was running was removed, and counts as failed.
        assert status(world)["failed"] == 5
        assert running(world) == []
        assert "completionTime" not in status(world)
        assert world.events(reason) == ["Job has reached the specified backoff limit"]

    run(body)


def test_restarts_count_when_containers_are_restarted_in_place() -> None:
    async def body(world: World) -> None:
        await create(world, job(restart_policy="OnFailure", backoffLimit=2))
        await wait_until(lambda: len(running(world)) == 1)
        [pod] = running(world)
        for count in (1, 2):
            assert "Failed" not in conditions(world)
            state = [{"name": "app", "restartCount": count, "state": {"running": {}}}]
            world.store.edit(
                "pods", pod["metadata"]["name"], "default", status={"containerStatuses": state}
            )
            await trio.sleep(3)
        assert conditions(world)["Failed"] == "BackoffLimitExceeded"

    run(body)


def test_fails_when_its_time_is_over() -> None:
    async def body(world: World) -> None:
        await create(world, job(activeDeadlineSeconds=20))
        await trio.sleep(18)
        assert conditions(world) == {}
        await trio.sleep(4)
        assert conditions(world)["Failed"] == "DeadlineExceeded"
        assert world.pods() == []

    run(body)


def test_a_suspended_job_has_no_pods_and_its_deadline_begins_again() -> None:
    async def body(world: World) -> None:
        await create(world, job(parallelism=2, completions=2, suspend=True))
        await trio.sleep(3)
        assert world.pods() == []
        assert conditions(world) == {"Suspended": "JobSuspended"}
        assert "startTime" not in status(world)
        await patch(world, suspend=False, activeDeadlineSeconds=30)
        await wait_until(lambda: len(running(world)) == 2)
        await trio.sleep(10)
        await patch(world, suspend=True)
        await wait_until(lambda: running(world) == [])
        await trio.sleep(60)
        # Pods that a suspension removes have not failed.
        assert "failed" not in status(world)
        assert "Failed" not in conditions(world)
        await patch(world, suspend=False)
        await wait_until(lambda: len(running(world)) == 2)
        await trio.sleep(25)
        assert conditions(world) == {}
        await wait_until(lambda: conditions(world).get("Failed") == "DeadlineExceeded")
        assert world.events("Suspended") == ["Job suspended"]
        assert world.events("Resumed") == ["Job resumed"]

    run(body)


def test_less_parallelism_removes_pods_and_more_adds_some() -> None:
    async def body(world: World) -> None:
        await create(world, job(parallelism=5, completions=10))
        await wait_until(lambda: status(world).get("ready") == 5)
        await patch(world, parallelism=2)
        await wait_until(lambda: len(running(world)) == 2)
        await patch(world, parallelism=4)
        await wait_until(lambda: len(running(world)) == 4)
        await trio.sleep(3)
        assert "failed" not in status(world)

    run(body)


def test_a_deleted_pod_is_replaced_at_once_or_when_it_has_ended() -> None:
    async def body(world: World) -> None:
        await create(world, job("early"))
        await create(world, job("late", podReplacementPolicy="Failed"))
        await wait_until(lambda: len(running(world)) == 2)
        world.kubelet_runs = False
        for pod in running(world):
            world.delete("pods", pod["metadata"]["name"], "default")
        await trio.sleep(15)
        [replaced] = running(world)
        assert replaced["metadata"]["labels"]["job-name"] == "early"
        assert (status(world, "late")["terminating"], status(world, "late").get("failed")) == (
            1,
            None,
        )
        [leaving] = world.pods(**{"job-name": "late"})
        end(world, leaving, 137)
        world.kubelet_runs = True
        await wait_until(lambda: len(running(world)) == 2)
        assert status(world, "late")["failed"] == 1

    run(body)


def test_pods_of_a_deleted_job_lose_the_finalizer() -> None:
    async def body(world: World) -> None:
        await create(world, job(parallelism=2, completions=2))
        await wait_until(lambda: len(running(world)) == 2)
        world.delete(JOBS, "work", "default", propagationPolicy="Background")
        await wait_until(lambda: all("finalizers" not in p["metadata"] for p in world.pods()))
        assert len(world.pods()) == 2

    run(body)


def test_a_job_of_another_manager_is_left_alone() -> None:
    async def body(world: World) -> None:
        await create(world, job(managedBy="example.com/queue"))
        await create(world, job("own", managedBy="kubernetes.io/job-controller"))
        await trio.sleep(3)
        [pod] = world.pods()
        assert pod["metadata"]["labels"]["job-name"] == "own"
        assert status(world) == {}

    run(body)


def test_refused_pods_are_reported_and_tried_again() -> None:
    async def body(world: World) -> None:
        def refuse(request: ReceivedRequest) -> None:
            if request[:2] == ("create", "pods"):
                raise errors.forbidden("pods", "", "exceeded quota: small")

        world.control_plane.refuse = refuse
        await create(world, job(parallelism=8, completions=8))
        await trio.sleep(5)
        assert all("exceeded quota: small" in text for text in world.events("FailedCreate"))
        assert "active" not in status(world)
        world.control_plane.refuse = None
        await wait_until(lambda: len(running(world)) == 8)

    run(body)


def test_each_pod_is_counted_once_whenever_the_controller_dies() -> None:
    async def body(world: World) -> None:
        await create(world, job(completions=12, parallelism=4, backoffLimit=50))
        ended = 0
        while "Complete" not in conditions(world):
            for pod in running(world):
                ended += 1
                end(world, pod, 0 if ended % 3 else 1)
            # Long enough to be in the middle of a pass, at another place each time.
            await trio.sleep(1 + ended % 7 * 0.0004)
            world.stop_manager()
            world.start_manager()
            await trio.sleep(1.1)
        done = [pod for pod in world.pods() if pod["status"]["phase"] == "Succeeded"]
        failed = [pod for pod in world.pods() if pod["status"]["phase"] == "Failed"]
        assert (len(done), len(failed)) == (12, status(world)["failed"])
        assert status(world)["succeeded"] == 12

    run(body)


def test_it_completes_with_nothing_to_do() -> None:
    async def body(world: World) -> None:
        await create(world, job(completions=0))
        await wait_until(lambda: "Complete" in conditions(world))
        assert world.pods() == []

    run(body)


def test_orphans_that_a_manual_selector_matches_are_adopted_and_counted() -> None:
    async def body(world: World) -> None:
        made = job(completions=1, manualSelector=True, selector={"matchLabels": {"app": "work"}})
        world.put("pods", bare_pod("before", {"app": "work"}))
        await create(world, made)
        await trio.sleep(3)
        [pod] = world.pods()
        assert (pod["metadata"]["name"], pod["metadata"]["finalizers"]) == ("before", [FINALIZER])
        end(world, pod)
        await wait_until(lambda: "Complete" in conditions(world))

    run(body)
