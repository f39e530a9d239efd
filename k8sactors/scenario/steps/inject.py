"""Inject a fault of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import trio

from k8sactors import simulation
from k8sactors.api.located_yaml import KeyPath
from k8sactors.fabric import Host
from k8sactors.faults import PlannedFault, Strike, Strikes, fault_named, unfolded
from k8sactors.faults import Targets as FaultTargets
from k8sactors.faults.fault import REIGN, Need, aims_at_leader
from k8sactors.faults.parameters import LEADER, REQUIRED, OtherHosts
from k8sactors.faults.parameters import Host as HostParameter
from k8sactors.faults.strike import UNLIMITED_MS
from k8sactors.observe.text import few, few_lines
from k8sactors.scenario.checks import FOREIGN_STORE, Checks
from k8sactors.scenario.context import Context
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.fault_settings import (
    ACTOR_KEY,
    HOST_KEY,
    INJECTION,
    key_of,
    names_an_actor,
)
from k8sactors.scenario.parsed import Injection
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.roles import Place
from k8sactors.scenario.step import StepKind
from k8sactors.scenario.targets import Target, TargetKind
from k8sactors.simulation import MILLISECOND, SECOND

DEFAULT_SEQUENCE_NS = 10 * SECOND
"""How long a sequence of faults takes unless the scenario says it."""


def _check(injection: Injection, where: KeyPath, checks: Checks) -> None:
    fault = fault_named(injection.verb)
    place = (*where, injection.verb)
    _check_needs(injection, place, checks)
    for name, value in injection.action.items():
        inside = (*place, key_of(name))
        checks.settings(value, inside)
        for target in value if isinstance(value, list) else [value]:
            if isinstance(target, Target):
                _check_actor(target, fault.name, needed=name == ACTOR_KEY, checks=checks, at=inside)
    sides = [each for each in injection.action.values() if isinstance(each, list)]
    _check_sides(sides, place, checks)
    if checks.spec.remote_store and _strikes_store(injection):
        checks.problem(place, f"{fault.name} cannot strike: {FOREIGN_STORE}")
    if injection.save:
        checks.saved_faults[injection.save] = None


def _check_needs(injection: Injection, place: KeyPath, checks: Checks) -> None:
    """What the fault needs must be there, or it would do nothing."""
    fault = fault_named(injection.verb)
    spec = checks.spec
    if Need.QUOTA in fault.needs and not spec.store.quota_bytes:
        hint = "give the store one, as in cluster: {storeQuota: 8Mi}"
        checks.problem(place, f"{fault.name} needs {Need.QUOTA.value}: {hint}")
    if Need.EXTERNAL_STORE in fault.needs and spec.topology != "external":
        reason = (
            f"topology {spec.topology} has each API server on the host of its store member; "
            "use topology external"
        )
        checks.problem(place, f"{fault.name} needs {Need.EXTERNAL_STORE.value}: {reason}")
    for name, parameter in fault.parameters.items():
        unknown = isinstance(parameter, HostParameter) and parameter.default not in {
            REQUIRED,
            LEADER,
        }
        if unknown and name not in injection.action:
            problem = f"key {key_of(name)!r} is missing: {parameter.about}"
            checks.problem(place, problem)


def _check_actor(target: Target, fault: str, *, needed: bool, checks: Checks, at: KeyPath) -> None:
    whole = target.whole_host or target.kind in {
        TargetKind.HOST,
        TargetKind.NODE_OF,
        TargetKind.ZONE,
    }
    if needed and whole:
        hint = "name one of its processes, as in worker-1/kubelet"
        checks.problem(at, f"{fault} strikes a process, and {target} is a host: {hint}")


def _check_sides(sides: Sequence[Sequence[Target]], place: KeyPath, checks: Checks) -> None:
    """A host cannot be on both sides of a cut."""
    seen: dict[str, int] = {}
    for number, side in enumerate(sides):
        for target in side:
            if seen.setdefault(target.text, number) != number:
                checks.problem(place, f"host {target.text} is used twice")


def _strikes_store(injection: Injection) -> bool:
    fault = fault_named(injection.verb)
    if Need.OPERATOR in fault.needs:
        return True
    defaults = {key: each.default for key, each in fault.parameters.items()}
    return fault.strikes in {Strikes.DISK, Strikes.STORE} or aims_at_leader(
        {key: list(value) if isinstance(value, tuple) else value for key, value in defaults.items()}
    )


async def _perform(injection: Injection, context: Context, result: StepResult) -> None:
    sim = simulation.current()
    network = context.cluster.network
    targets = _targets(context)
    before = _living(context)
    told: list[str] = []
    places: list[Place] = []
    strikes: list[Strike] = []
    resolved = await _resolved(injection, context)
    if Need.OPERATOR in fault_named(injection.verb).needs:
        context.cluster.store_operator()
        _must_carry_members([place for _, hit in resolved for place in hit], context)
    for parameters, hit in resolved:
        planned = PlannedFault(0, _duration_ms(injection), injection.verb, parameters)
        random = sim.random(f"scenario/inject/{injection.line}")
        for part in unfolded(random, targets, planned):
            strike = Strike(part, network, sim.timers, UNLIMITED_MS, lambda: _leader(context))
            strikes.append(strike)
            context.crash_causes.update(dict.fromkeys(part.fault.crash_causes))
            failed = _failed_orders(part, context)
            await _begin(strike)
            if failed is not None:
                await _await_order(part.kind, failed, context)
        told.append(fault_named(injection.verb).describe(parameters))
        places += hit
    result.detail += few_lines(told)
    after = _living(context)
    result.lost += [each for each in before if each not in after]
    context.all_strikes += strikes
    if injection.save:
        context.roles.saved[injection.save] = list(dict.fromkeys(places))
        context.strikes[injection.save] = strikes


def _must_carry_members(places: Sequence[Place], context: Context) -> None:
    carriers = context.cluster.assembly.store_hosts
    for place in places:
        if place.host not in carriers:
            known = ", ".join(carriers)
            raise StepError(f"{place.host} carries no store member; these do: {known}")


async def _begin(strike: Strike) -> None:
    """Strike now, or when the part's time or a new leader has come; the step waits for a leader.

    Raises:
        StepError: the store has no leader that could be struck.
    """
    if strike.fault.at_ms:
        strike.start()
        return
    if REIGN in strike.fault.parameters:
        struck = trio.Event()
        strike.on_strike = lambda _fault: struck.set()
        strike.start()
        await struck.wait()
        return
    strike.strike()
    if strike.parameters is None:
        raise StepError("the store has no leader now")


def _failed_orders(part: PlannedFault, context: Context) -> int | None:
    """How many orders of that kind were not carried out before; None: it is no order for now."""
    if Need.OPERATOR not in part.fault.needs or part.at_ms:
        return None
    return context.cluster.store_operator().failed.get(part.kind, 0)


async def _await_order(kind: str, failed: int, context: Context) -> None:
    """Wait until the operator has done what it was told just now.

    Raises:
        StepError: it was not done.
    """
    operator = context.cluster.store_operator()
    await operator.wait_idle()
    if operator.failed.get(kind, 0) > failed:
        raise StepError(
            f"the operator of the store could not carry out {kind}: too few members are well, "
            "or too few would be left"
        )


def _duration_ms(injection: Injection) -> int:
    if injection.lasts_ns is not None:
        return injection.lasts_ns // MILLISECOND
    if fault_named(injection.verb).unfold is not None:
        return DEFAULT_SEQUENCE_NS // MILLISECOND
    return UNLIMITED_MS


async def _resolved(
    injection: Injection, context: Context
) -> list[tuple[dict[str, Any], list[Place]]]:
    """The fault's parameters with the names of hosts, once for each combination of single hosts.

    Raises:
        StepError: there is nothing to hit.
    """
    fault = fault_named(injection.verb)
    fixed: dict[str, Any] = {}
    choices: list[list[dict[str, str]]] = []
    hit: list[Place] = []
    for name, value in injection.action.items():
        if isinstance(value, Target):
            places = await context.roles.resolve(value)
            hit += places
            with_actor = name == ACTOR_KEY and names_an_actor(fault)
            choices.append([_choice(name, each, context, with_actor) for each in places])
        elif isinstance(value, list) and value and isinstance(value[0], Target):
            found = [each for target in value for each in await context.roles.resolve(target)]
            hit += found
            fixed[name] = list(dict.fromkeys(_host(each.host, context).name for each in found))
        else:
            fixed[name] = value
    results = []
    for chosen in product(*choices):
        given = {**fixed, **{key: each for part in chosen for key, each in part.items()}}
        results.append((fault.complete(_with_others(injection.verb, given, context)), hit))
    return results


def _choice(name: str, place: Place, context: Context, with_actor: bool) -> dict[str, str]:
    host = _host(place.host, context)
    if not with_actor:
        return {name: host.name}
    if place.actor is None or place.actor not in host.slots:
        known = ", ".join(host.slots) or "nothing"
        raise StepError(f"{host.name} runs no {place.actor or 'such process'}; it runs {known}")
    return {HOST_KEY: host.name, ACTOR_KEY: place.actor}


def _host(name: str, context: Context) -> Host:
    host = context.cluster.hosts.get(name)
    if host is None:
        raise StepError(f"there is no host {name}")
    return host


def _with_others(verb: str, given: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """All hosts that no parameter names are on the other side, unless that is given."""
    result = dict(given)
    fault = fault_named(verb)
    defaults = {key: each.default for key, each in fault.parameters.items()}
    found = [
        host
        for value in {**defaults, **given}.values()
        for host in (value if isinstance(value, list | tuple) else [value])
    ]
    for name, parameter in fault.parameters.items():
        if isinstance(parameter, OtherHosts) and name not in result:
            result[name] = [host for host in context.cluster.hosts if host not in found]
    return result


def _targets(context: Context) -> FaultTargets:
    hosts = context.cluster.hosts
    actors = tuple((name, slot) for name, host in hosts.items() for slot in host.slots)
    return FaultTargets(tuple(hosts), tuple(context.cluster.assembly.store_hosts), actors)


def _living(context: Context) -> dict[str, None]:
    """Addresses of the actors that run."""
    return {
        f"{host.name}/{name}": None
        for host in context.cluster.hosts.values()
        for name, slot in host.slots.items()
        if slot.life is not None
    }


def _leader(context: Context) -> str | None:
    leader = context.cluster.store_leader()
    return leader[0] if leader is not None else None


STEP = StepKind(
    verb="inject",
    about="strike with a fault, see below",
    settings=INJECTION,
    perform=_perform,
    title=lambda injection: f"Inject {injection.verb}{_subject(injection)}",
    check=_check,
)


def _subject(injection: Injection) -> str:
    found = [each for each in injection.action.values() if isinstance(each, Target | list)]
    texts = [
        str(each) for value in found for each in (value if isinstance(value, list) else [value])
    ]
    return " " + few(texts) if texts else ""
