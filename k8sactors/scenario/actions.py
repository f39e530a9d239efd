"""Carries out single steps: requests to the API, expectations, probes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import trio

from k8sactors import simulation
from k8sactors.api import scheme
from k8sactors.api.errors import StatusError
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.faults import Injector
from k8sactors.scenario.judge import Judge
from k8sactors.scenario.model import Scenario
from k8sactors.scenario.objects import table_of
from k8sactors.scenario.probing import ask
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.roles import Place, Roles
from k8sactors.scenario.steps import (
    AddWorker,
    Apply,
    Delete,
    Expect,
    Get,
    Patch,
    Probe,
    Refusal,
    Replace,
    Scale,
    Step,
)
from k8sactors.scenario.world import Object, World
from k8sactors.simulation import SECOND

_POLL_S = 0.25

T = TypeVar("T")


class Actions:
    """Carries out the steps of one run; knows what they saved for each other."""

    def __init__(self, scenario: Scenario, world: World) -> None:
        self.scenario = scenario
        self.world = world
        self.roles = Roles(world)
        self.judge = Judge(world, self.roles)
        self.injector = Injector(world, self.roles)
        self.saved: dict[str, Object] = {}
        self.waiting_for = ""

    async def perform(self, step: Step, result: StepResult) -> None:
        """Do what a step says; `parallel` is the runner's.

        Raises:
            StepError: it cannot be done, or an expectation does not hold.
            StatusError: the API server refused a request.
        """
        verbs: dict[str, Callable[[Any, StepResult], Awaitable[None]]] = {
            "apply": self._apply,
            "delete": self._delete,
            "scale": self._scale,
            "patch": self._patch,
            "replace": self._replace,
            "get": self._get,
            "inject": self.injector.inject,
            "expect": self._expect,
            "probe": self._probe,
            "advance": self._advance,
            "addWorker": self._add_worker,
        }
        await verbs[step.verb](step.action, result)

    async def _apply(self, action: Apply, result: StepResult) -> None:
        objects = [each for name in action.files for each in self.scenario.manifests[name]]
        objects += action.objects
        if action.manifests:
            objects += self.scenario.extra

        async def request() -> Mapping[str, str]:
            return await self.world.apply(objects)

        outcomes = await refused_or(request, action.fails, result)
        if outcomes is None:
            return
        counts: dict[str, int] = {}
        for outcome in outcomes.values():
            counts[outcome] = counts.get(outcome, 0) + 1
        told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
        result.detail.append(f"{len(objects)} objects: {told}")

    async def _delete(self, action: Delete, result: StepResult) -> None:
        info = scheme.lookup(action.resource)
        place = (action.namespace or "default") if info.namespaced else None
        options: dict[str, Any] = {}
        if action.propagation is not None:
            options["propagationPolicy"] = action.propagation
        if action.grace_ns is not None:
            options["gracePeriodSeconds"] = action.grace_ns // SECOND
        if action.labels is not None:
            options["labelSelector"] = action.labels
        verb = "delete" if action.name is not None else "deletecollection"
        what = action.name or f"all with {action.labels}"
        await self._request(
            result,
            action.fails,
            f"deleted {info.singular} {what}",
            verb=verb,
            resource=info.name,
            namespace=place,
            name=action.name,
            options=options,
        )

    async def _scale(self, action: Scale, result: StepResult) -> None:
        body = {"spec": {"replicas": action.replicas}}
        patch = Patch(
            resource=action.resource, name=action.name, namespace=action.namespace, patch=body
        )
        await self._patch(patch, result)

    async def _patch(self, action: Patch, result: StepResult) -> None:
        info = scheme.lookup(action.resource)
        await self._request(
            result,
            action.fails,
            f"changed {info.singular} {action.name}",
            verb="patch",
            resource=info.name,
            namespace=(action.namespace or "default") if info.namespaced else None,
            name=action.name,
            body=action.patch,
            options={"patchType": action.type},
        )

    async def _replace(self, action: Replace, result: StepResult) -> None:
        saved = self.saved[action.saved]
        info = scheme.kind(saved["apiVersion"], saved["kind"])
        await self._request(
            result,
            action.fails,
            f"replaced {info.singular} {saved['metadata']['name']}",
            verb="update",
            resource=info.name,
            namespace=saved["metadata"].get("namespace"),
            name=saved["metadata"]["name"],
            body=merged(saved, action.set),
        )

    async def _get(self, action: Get, result: StepResult) -> None:
        info = scheme.lookup(action.resource)
        if action.name is not None:
            found = [await self.judge.get(action.resource, action.namespace, action.name)]
        else:
            found = await self.judge.list(action.resource, action.namespace, action.labels)
        everywhere = info.namespaced and action.namespace is None and action.name is None
        result.table = table_of(info.name, found, namespaced=everywhere)
        result.detail.append(f"{len(found)} {info.plural}")
        if action.save is not None:
            # Stored objects may come without their kind; a write needs it.
            self.saved[action.save] = {
                "apiVersion": info.api_version,
                "kind": info.kind,
                **found[0],
            }

    async def _expect(self, action: Expect, result: StepResult) -> None:
        sim = simulation.current()
        started_ns = sim.now_ns()
        deadline_ns = started_ns + action.within_ns
        self.judge.facts.clear()
        missing = ["nothing was looked at"]
        # A single look can itself hang on an unreachable server: the limit covers it as well.
        with trio.move_on_after((action.within_ns + SECOND) / SECOND):
            while missing := await self.judge.missing(action.that):
                self.waiting_for = missing[0]
                if sim.now_ns() >= deadline_ns:
                    break
                await trio.sleep(_POLL_S)
        self.waiting_for = ""
        waited_s = (sim.now_ns() - started_ns) / SECOND
        if missing:
            raise StepError(f"not within {action.within_ns / SECOND:g} s: " + "; ".join(missing))
        await self._stays(action)
        result.detail.append(f"true after {waited_s:.1f} s")
        result.detail += self.judge.facts

    async def _stays(self, action: Expect) -> None:
        sim = simulation.current()
        end_ns = sim.now_ns() + action.stays_ns
        while sim.now_ns() < end_ns:
            await trio.sleep(_POLL_S)
            missing = await self.judge.missing(action.that)
            if missing:
                raise StepError(
                    f"did not stay true for {action.stays_ns / SECOND:g} s: " + "; ".join(missing)
                )

    async def _probe(self, action: Probe, result: StepResult) -> None:
        answer = await ask(self.world, action.from_, action.to, action.port)
        result.detail += answer.hops
        if answer.ok:
            result.detail.append(f"answered: {answer.text}")
        else:
            result.detail.append(f"not answered: {answer.error}")
        if answer.ok == action.refused:
            wanted = "no answer" if action.refused else "an answer"
            raise StepError(f"expected {wanted} from {action.to}")

    async def _advance(self, duration_ns: int, result: StepResult) -> None:
        del result
        await trio.sleep(duration_ns / SECOND)

    async def _add_worker(self, action: AddWorker, result: StepResult) -> None:
        name = await self.world.add_worker(action.zone)
        self.roles.saved[name] = [Place(name)]
        result.detail.append(f"added host {name}")

    async def _request(
        self, result: StepResult, fails: Refusal | None, done: str, **arguments: Any
    ) -> None:
        async def request() -> Object:
            return await self.world.client.request(**arguments)

        if await refused_or(request, fails, result) is not None:
            result.detail.append(done)


async def refused_or(
    request: Callable[[], Awaitable[T]], fails: Refusal | None, result: StepResult
) -> T | None:
    """The answer; None when the request was refused, as it had to be."""
    try:
        answer = await request()
    except StatusError as error:
        if fails is None:
            raise
        problem = _misfit(error, fails)
        if problem:
            raise StepError(problem) from error
        result.detail.append(f"refused as expected: {error.code} {error.reason}: {error.message}")
        return None
    if fails is not None:
        raise StepError(f"expected a refusal with code {fails.code}, but the request succeeded")
    return answer


def _misfit(error: StatusError, fails: Refusal) -> str | None:
    told = f"{error.code} {error.reason}: {error.message}"
    if error.code != fails.code:
        return f"expected a refusal with code {fails.code}, got {told}"
    if fails.reason is not None and error.reason != fails.reason:
        return f"expected the reason {fails.reason}, got {told}"
    if fails.message is not None and fails.message not in error.message:
        return f"expected a message with {fails.message!r}, got {told}"
    return None


def merged(base: Any, change: Any) -> Any:
    """A JSON merge patch (RFC 7386): a new value, sharing what did not change."""
    if not isinstance(change, Mapping):
        return change
    result = dict(base) if isinstance(base, Mapping) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
