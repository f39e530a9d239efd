"""Decides whether a condition holds now, and says what is missing when it does not."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs

from k8sactors import simulation
from k8sactors.api import scheme
from k8sactors.api.errors import StatusError
from k8sactors.scenario.conditions import (
    Answers,
    Available,
    ComponentLeader,
    Condition,
    Count,
    EventSeen,
    Exists,
    ServicesAnswer,
    StoreLeader,
    Value,
    Writable,
)
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.objects import MISSING, Object, value_at
from k8sactors.scenario.probing import ask
from k8sactors.scenario.roles import Roles
from k8sactors.scenario.world import World
from k8sactors.simulation import MILLISECOND

NOT_FOUND = 404
_PROBE_FOR_WRITES = "k8sactors-writable"


@attrs.define
class Judge:
    """Evaluates conditions against a world."""

    world: World
    roles: Roles
    facts: dict[str, None] = attrs.field(factory=dict)

    async def missing(self, conditions: Sequence[Condition]) -> list[str]:
        """What is missing for all conditions to hold; API errors count as not yet."""
        found = []
        for condition in conditions:
            try:
                reason = await self._judge(condition)
            except (StatusError, StepError) as error:
                reason = f"{condition.verb}: {error}"
            if reason is not None:
                found.append(reason)
        return found

    async def _judge(self, condition: Condition) -> str | None:
        if condition.verb == "not":
            reason = await self._judge(condition.action)
            return f"still true: {condition.action.verb}" if reason is None else None
        judges: dict[str, Callable[[Any], Awaitable[str | None]]] = {
            "available": self._available,
            "count": self._count,
            "value": self._value,
            "exists": self._exists,
            "event": self._event,
            "storeLeader": self._store_leader,
            "leader": self._leader,
            "answers": self._answers,
            "servicesAnswer": self._services_answer,
            "writable": self._writable,
        }
        return await judges[condition.verb](condition.action)

    async def list(
        self, resource: str, namespace: str | None = None, labels: str | None = None
    ) -> list[Object]:
        """All objects of a resource, as a person names it."""
        options = {"labelSelector": labels} if labels else {}
        name = scheme.lookup(resource).name
        answer = await self.world.client.request("list", name, namespace=namespace, options=options)
        items: list[Object] = answer["items"]
        return items

    async def get(self, resource: str, namespace: str | None, name: str) -> Object:
        """One object; the namespace is `default` unless given."""
        info = scheme.lookup(resource)
        place = (namespace or "default") if info.namespaced else None
        return await self.world.client.request("get", info.name, namespace=place, name=name)

    async def _available(self, wanted: Available) -> str | None:
        if wanted.name is not None:
            deployment = await self.get("deployments", wanted.namespace, wanted.name)
            return shortfall(deployment)
        deployments = await self.list("deployments", wanted.namespace)
        if not deployments:
            return "there is no Deployment"
        short = [reason for each in deployments if (reason := shortfall(each)) is not None]
        if not short:
            return None
        more = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
        return f"{len(deployments) - len(short)} of {len(deployments)} available; {short[0]}{more}"

    async def _count(self, wanted: Count) -> str | None:
        matching = [
            each
            for each in await self.list(wanted.resource, wanted.namespace, wanted.labels)
            if all(value_at(each, path) == value for path, value in wanted.where.items())
        ]
        number = len(matching)
        if wanted.distinct is not None:
            values = {repr(value_at(each, wanted.distinct)) for each in matching}
            number = len(values - {repr(MISSING)})
        what = f"values of {wanted.distinct} in " if wanted.distinct else ""
        problem = out_of_bounds(number, wanted)
        return f"{problem} {what}{wanted.resource}" if problem else None

    async def _value(self, wanted: Value) -> str | None:
        obj = await self.get(wanted.resource, wanted.namespace, wanted.name)
        value = value_at(obj, wanted.at)
        where = f"{wanted.at} of {wanted.resource} {wanted.name}"
        if wanted.absent:
            return None if value is MISSING else f"{where} is {value!r}, expected none"
        if wanted.matches is not None:
            good = value is not MISSING and re.fullmatch(wanted.matches, str(value))
            return None if good else f"{where} is {value!r}, expected to match {wanted.matches}"
        if wanted.at_least is not None or wanted.at_most is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return f"{where} is {value!r}, expected a number"
            problem = out_of_bounds(value, wanted)
            return f"{where}: {problem}" if problem else None
        return None if value == wanted.equals else f"{where} is {value!r}, not {wanted.equals!r}"

    async def _exists(self, wanted: Exists) -> str | None:
        try:
            await self.get(wanted.resource, wanted.namespace, wanted.name)
        except StatusError as error:
            if error.code == NOT_FOUND:
                return f"there is no {wanted.resource} {wanted.name}"
            raise
        return None

    async def _event(self, wanted: EventSeen) -> str | None:
        for event in await self.list("events", wanted.namespace):
            about = event.get("involvedObject") or event.get("regarding") or {}
            subject = f"{about.get('kind')}/{about.get('name')}"
            message = str(event.get("message") or event.get("note") or "")
            if (
                event.get("reason") == wanted.reason
                and _same_object(subject, wanted.object)
                and (wanted.message is None or wanted.message in message)
            ):
                self.facts[f"{subject}: {message}"] = None
                return None
        return f"no event {wanted.reason}" + (f" about {wanted.object}" if wanted.object else "")

    async def _store_leader(self, wanted: StoreLeader) -> str | None:
        leader = self.world.store_leader()
        if leader is None:
            return "the store has no leader"
        host = leader[0]
        if wanted.on is not None and host not in await self.roles.hosts(wanted.on):
            return f"the store's leader is on {host}, not on {wanted.on}"
        if wanted.not_on is not None and host in await self.roles.hosts(wanted.not_on):
            return f"the store's leader is still on {host}"
        self.facts[f"store leader: {host}, term {leader[1]}"] = None
        return None

    async def _leader(self, wanted: ComponentLeader) -> str | None:
        host = await self.roles.holder(wanted.of)
        if wanted.not_on is not None and host in await self.roles.hosts(wanted.not_on):
            return f"the leader of {wanted.of} is still on {host}"
        if not self.world.hosts[host].up:
            return f"the lease of {wanted.of} is held by {host}, which is down"
        self.facts[f"leader of {wanted.of}: {host}"] = None
        return None

    async def _answers(self, wanted: Answers) -> str | None:
        answer = await ask(self.world, wanted.from_, wanted.to, wanted.port)
        if not answer.ok:
            return f"{wanted.to} does not answer: {answer.error}"
        if wanted.through is not None and not any(wanted.through in hop for hop in answer.hops):
            return f"no hop to {wanted.to} contains {wanted.through!r}"
        return None

    async def _services_answer(self, wanted: ServicesAnswer) -> str | None:
        services = [
            each
            for each in await self.list("services", wanted.namespace)
            if each.get("spec", {}).get("selector")
        ]
        if not services:
            return "there is no Service that selects pods"
        silent = []
        for service in services:
            metadata = service["metadata"]
            place = f"service/{metadata['namespace']}/{metadata['name']}"
            answer = await ask(self.world, "any-node", place, None)
            if not answer.ok:
                silent.append(f"{place}: {answer.error}")
        if not silent:
            self.facts[f"{len(services)} Services answer"] = None
            return None
        return f"{len(services) - len(silent)} of {len(services)} Services answer; {silent[0]}"

    async def _writable(self, wanted: Writable) -> str | None:
        written = str(simulation.current().now_ns())
        name = _PROBE_FOR_WRITES
        timeout_ns = wanted.limit * MILLISECOND
        client = self.world.client
        try:
            await client.request(
                "patch",
                "configmaps",
                namespace="kube-system",
                name=name,
                body={"data": {"written": written}},
                options={"patchType": "merge"},
                timeout_ns=timeout_ns,
            )
        except StatusError as error:
            if error.code != NOT_FOUND:
                raise
            await client.request(
                "create",
                "configmaps",
                namespace="kube-system",
                body={
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": name, "namespace": "kube-system"},
                    "data": {"written": written},
                },
                timeout_ns=timeout_ns,
            )
        return None


def shortfall(deployment: Object) -> str | None:
    """What a Deployment lacks, None when all its replicas are up to date and available."""
    metadata, status = deployment["metadata"], deployment.get("status", {})
    name = f"{metadata.get('namespace', '')}/{metadata['name']}"
    wanted = deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        return f"{name}: not yet seen by its controller"
    for key in ("updatedReplicas", "availableReplicas", "replicas"):
        if status.get(key, 0) != wanted:
            return f"{name}: {key} {status.get(key, 0)}, wanted {wanted}"
    return None


def out_of_bounds(number: float, wanted: Count | Value) -> str | None:
    """How a number misses what is wanted."""
    if wanted.equals is not None and number != wanted.equals:
        return f"{number}, expected {wanted.equals}"
    if wanted.at_least is not None and number < wanted.at_least:
        return f"{number}, expected at least {wanted.at_least}"
    if wanted.at_most is not None and number > wanted.at_most:
        return f"{number}, expected at most {wanted.at_most}"
    return None


def _same_object(subject: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    if wanted.endswith("*"):
        return subject.startswith(wanted[:-1])
    return subject == wanted
