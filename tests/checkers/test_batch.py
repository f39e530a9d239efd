"""The invariants of Jobs, CronJobs and budgets hold, and fail on builds with one line broken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.apiserver.subresources import eviction
from k8sactors.checkers.batch import (
    check_budgets_kept,
    check_cron_job_forbid,
    check_index_once,
    check_job_parallelism,
    check_jobs_finished,
)
from k8sactors.checkers.cluster_history import ClusterHistory, ObjectChange
from k8sactors.checkers.findings import Finding
from k8sactors.client import InformerFactory
from k8sactors.controllers.cronjob import controller as cronjob
from k8sactors.controllers.job.indexes import Indexes
from k8sactors.controllers.job.sync import JobSync
from k8sactors.controllers.manager import ControllerManagerConfig
from tests.controllers import harness
from tests.controllers.harness import World, bare_pod

Object = dict[str, Any]
Act = Callable[[World], Awaitable[None]]
JOBS, CRON_JOBS, BUDGETS = "jobs.batch", "cronjobs.batch", "poddisruptionbudgets.policy"
CONTROLLERS = ("job-controller", "cronjob-controller", "disruption-controller")
CONFIG = ControllerManagerConfig(controllers=CONTROLLERS)


def found(act: Act, check: Callable[[ClusterHistory], list[Finding]]) -> list[str]:
    """What a check finds in all that happens while `act` runs."""
    history = ClusterHistory()

    async def body(world: World) -> None:
        informers = InformerFactory(client(world))
        for resource in ("pods", JOBS, CRON_JOBS, BUDGETS):

            def heard(resource: str, kind: str, obj: Object) -> None:
                now_ns = simulation.current().now_ns()
                history.changes.append(ObjectChange(now_ns, kind, resource, obj))

            informers.informer(resource).add_handler(
                on_add=partial(heard, resource, "ADDED"),
                on_update=lambda _old, new, heard=heard, of=resource: heard(of, "MODIFIED", new),
                on_delete=partial(heard, resource, "DELETED"),
            )
        informers.start()
        await informers.wait_synced()
        await act(world)
        await trio.sleep(1)

    harness.run(body, config=CONFIG)
    # What was written in the same instant comes in the order of its resource otherwise.
    history.changes.sort(
        key=lambda each: (each.time_ns, int(each.object["metadata"]["resourceVersion"]))
    )
    assert history.changes
    return [finding.message for finding in check(history)]


def client(world: World) -> Any:
    return world.network.hosts["console"].actor("kubectl").client


def template() -> Object:
    made = harness.template("work")
    made["spec"]["restartPolicy"] = "Never"
    return made


async def create(world: World, resource: str, kind: str, version: str, spec: Object) -> None:
    metadata = {"name": "work", "namespace": "default"}
    body = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
    await client(world).create(resource, body)


def end_pods(world: World, seen: Iterator[int]) -> None:
    """Each second pod fails."""
    for pod in world.active_pods():
        if pod["status"]["phase"] == "Running":
            phase = "Failed" if next(seen) % 2 else "Succeeded"
            world.set_pod(pod, ready=False, phase=phase)


async def work(world: World, **spec: Any) -> None:
    await create(world, JOBS, "Job", "batch/v1", {"template": template(), **spec})
    seen = iter(range(1000))
    for _ in range(30):
        await trio.sleep(4)
        end_pods(world, seen)


async def evict_all(world: World) -> None:
    for name in "abcd":
        world.put("pods", bare_pod(name))
    selector = {"matchLabels": {"app": "web"}}
    spec = {"minAvailable": 3, "selector": selector}
    await create(world, BUDGETS, "PodDisruptionBudget", "policy/v1", spec)
    await trio.sleep(2)
    for name in "abcd":
        answers: list[Any] = []
        client(world).submit(
            "create",
            "pods",
            namespace="default",
            name=name,
            subresource="eviction",
            body={"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}},
            on_done=answers.append,
            on_error=answers.append,
        )


async def tick(world: World) -> None:
    spec = {
        "schedule": "* * * * *",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": {"template": template()}},
    }
    await create(world, CRON_JOBS, "CronJob", "batch/v1", spec)
    await trio.sleep(200)


SOME = partial(work, completions=5, parallelism=2, backoffLimit=50)
INDEXED = partial(SOME, completionMode="Indexed")


def test_a_job_keeps_its_parallelism(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(SOME, check_job_parallelism) == []
    monkeypatch.setattr(JobSync, "_wanted", lambda _self: 3)
    messages = found(SOME, check_job_parallelism)
    assert messages[0] == "job default/work has 3 active pods, its parallelism is 2"


def test_an_index_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(INDEXED, check_index_once) == []
    monkeypatch.setattr(Indexes, "missing", lambda _self, completions: iter(range(completions)))
    messages = found(INDEXED, check_index_once)
    assert "job default/work makes a pod for index 0, which it has counted as done" in messages


def test_a_job_is_complete_with_all_its_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Indexes.__len__
    monkeypatch.setattr(Indexes, "__len__", lambda self: sound(self) + 1)
    messages = found(INDEXED, check_index_once)
    assert "job default/work is complete without the indexes [4]" in messages


def test_a_cron_job_that_forbids_it_never_overlaps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(tick, check_cron_job_forbid) == []
    monkeypatch.setattr(cronjob._CronJobRun, "_active", lambda _self: [])
    assert "has not ended" in found(tick, check_cron_job_forbid)[0]


def test_evictions_are_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(evict_all, check_budgets_kept) == []

    def forget(self: Any, _found: Any, _pod: Object) -> None:
        self._delete()

    monkeypatch.setattr(eviction._Eviction, "_charge", forget)
    messages = found(evict_all, check_budgets_kept)
    assert "pod default/a is evicted without a charge to budget default/work" in messages


def test_a_budget_charges_no_more_than_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eviction, "_disruptions_allowed", lambda _budget: 1)
    messages = found(evict_all, check_budgets_kept)
    assert any("beyond what it allowed" in message for message in messages)


def test_a_job_that_never_ends_is_told() -> None:
    done = [{"type": "Complete", "status": "True"}]
    jobs: list[Object] = [
        {"metadata": {"name": name, "namespace": "default"}, "spec": spec, "status": status}
        for name, spec, status in (
            ("stuck", {}, {"succeeded": 2}),
            ("paused", {"suspend": True}, {}),
            ("done", {}, {"conditions": done}),
        )
    ]
    history = ClusterHistory(final={JOBS: list(jobs)})
    [finding] = check_jobs_finished(history)
    assert finding.message == "job default/stuck has not ended, 2 of its pods have succeeded"
