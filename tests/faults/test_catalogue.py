"""The catalogue is found, not listed; each record says enough to draw, check and heal its fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from k8sactors import simulation
from k8sactors.actors import Actor
from k8sactors.fabric import Network, open_fabric
from k8sactors.faults import (
    FAULTS,
    BadParametersError,
    PlannedFault,
    Targets,
    UnknownFaultError,
    cluster_faults,
    draw_plan,
    fault_named,
    faults_of_groups,
    heal_everything,
    injectors,
    schedule_plan,
    unfolded,
)
from k8sactors.faults.fault import STORE_ACTOR
from k8sactors.store.member import open_disk

TARGETS = Targets(
    hosts=("a", "b", "c"), store_hosts=("a", "b"), actors=(("a", "x"), ("b", "x"), ("c", "x"))
)

NEW_FAULT = '''
"""Traffic of one host takes a second longer."""

from k8sactors.faults.fault import Fault, Group, Strikes
from k8sactors.faults.parameters import Host, Milliseconds


def _inject(network, parameters):
    for other in network.hosts:
        if other != parameters["host"]:
            delay_ns = parameters["delay_ms"] * 1_000_000
            network.degrade(parameters["host"], other, delay_ns=delay_ns)


def _heal(network, parameters):
    for other in network.hosts:
        if other != parameters["host"]:
            network.degrade(parameters["host"], other)


FAULT = Fault(
    name="far-away",
    title="let all traffic of a host take longer",
    group=Group.NETWORK,
    strikes=Strikes.LINK,
    parameters={
        "host": Host("the host"),
        "delay_ms": Milliseconds("added to the latency", default=1_000),
    },
    draw=lambda random, targets: {"host": random.choice(targets.hosts), "delay_ms": 1_000},
    inject=_inject,
    heal=_heal,
    describe=lambda parameters: f"{parameters['host']} is far away",
)
'''


@pytest.fixture
def _far_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more file in the folder of injectors."""
    (tmp_path / "far_away.py").write_text(NEW_FAULT)
    monkeypatch.setattr(injectors, "__path__", [*injectors.__path__, str(tmp_path)])
    FAULTS.reload()
    yield
    monkeypatch.undo()
    FAULTS.reload()


@pytest.mark.usefixtures("_far_away")
def test_a_fault_from_one_file_is_drawn_strikes_and_heals() -> None:
    struck: list[str] = []

    async def main() -> None:
        async with open_fabric() as network:
            for name in TARGETS.hosts:
                network.add_host(name)
            sim = simulation.current()
            plan = draw_plan(sim.random("plan"), TARGETS, 10_000, ("far-away",))
            schedule_plan(
                plan[:1], network, sim.timers, 10_000, on_strike=lambda f: struck.append(f.kind)
            )
            host = plan[0].parameters["host"]
            other = next(name for name in TARGETS.hosts if name != host)
            await trio.sleep(plan[0].at_ms / 1000 + 0.01)
            assert not network.path(host, other).plain
            heal_everything(network)
            assert network.path(host, other).plain

    simulation.run(main)
    assert struck == ["far-away"]
    assert "far-away" in faults_of_groups()["network"]
    assert "far-away" in cluster_faults()


def test_every_fault_draws_what_its_record_accepts() -> None:
    for name, fault in FAULTS.items():
        for seed in range(20):
            random = simulation.Random(seed)
            parameters = fault.draw(random, TARGETS)
            assert fault.complete(parameters) == parameters, name
            planned = PlannedFault(0, 10_000, name, parameters)
            for part in unfolded(random, TARGETS, planned):
                assert part.fault.complete(part.parameters) == part.parameters
                assert part.describe()


def test_every_record_speaks_for_itself() -> None:
    for name, fault in FAULTS.items():
        assert name == fault.name
        assert fault.title[0].islower()
        assert not fault.title.endswith(".")
        assert all(parameter.about for parameter in fault.parameters.values())


@pytest.mark.parametrize(
    ("name", "parameters", "problem"),
    [
        ("kill-host", {}, "lacks host"),
        ("kill-host", {"host": "a", "why": 1}, "does not know why"),
        ("degrade", {"hosts": ["a", "b"], "loss": 2}, "loss must be a float between 0 and 1"),
        ("degrade", {"hosts": "a"}, "hosts must be a list"),
        ("slow-host", {"host": "a", "run_ms": 0}, "run_ms must be at least 1, it is 0"),
        ("clock-drift", {"host": "a", "drift_ppm": -1_000_000}, "at least -999999 and at most"),
        ("crash-at", {"host": "a", "step": "later", "of": "entries"}, "one of: before the write"),
        ("partition", {"a": ["a"], "one_way": 1}, "one_way must be a bool"),
    ],
)
def test_parameters_that_a_fault_cannot_have_are_refused(
    name: str, parameters: dict[str, object], problem: str
) -> None:
    with pytest.raises(BadParametersError, match=problem):
        fault_named(name).complete(parameters)


def test_an_unknown_fault_is_answered_with_what_may_be_meant() -> None:
    with pytest.raises(UnknownFaultError, match="did you mean 'kill-host'"):
        fault_named("kill-hots")


def _check_well(network: Network) -> None:
    for host in network.hosts.values():
        assert host.up
        assert not host.paused
        assert (host.clock.drift_ppm, host.clock.offset_ns) == (0, 0)
        assert all(slot.actor is not None for slot in host.slots.values())
    for a in network.hosts:
        for b in network.hosts:
            assert network.path(a, b).plain


@pytest.mark.parametrize("name", list(FAULTS))
def test_every_fault_is_undone_by_its_own_heal_and_by_the_heal_of_all(name: str) -> None:
    async def main() -> None:
        async with open_fabric() as network:
            for host in TARGETS.hosts:
                network.add_host(host).spawn("x", Actor)
                network.host(host).spawn(STORE_ACTOR, Actor)
                open_disk(network.host(host))
            sim = simulation.current()
            random = sim.random("plan")
            fault = PlannedFault(0, 3_000, name, fault_named(name).draw(random, TARGETS))
            parts = list(unfolded(random, TARGETS, fault))
            strikes = schedule_plan(parts, network, sim.timers, 60_000, lambda: "a")
            await trio.sleep(1)
            heal_everything(network, strikes)
            await trio.sleep(0.1)
            if not any(strike.parameters is None for strike in strikes):
                _check_well(network)
            await trio.sleep(61)
            _check_well(network)

    simulation.run(main, seed=1)


def test_a_fault_of_hundreds_of_hosts_is_described_by_a_few_and_a_count() -> None:
    hosts = [f"worker-{number}" for number in range(1, 401)]
    cut = fault_named("partition").describe({"a": ["cp-1"], "b": hosts, "one_way": False})
    assert cut.startswith("cut cp-1 | worker-1,worker-2,")
    assert cut.endswith("and 388 more")
    assert len(cut) < 200
