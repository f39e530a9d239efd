"""Virtual time, random streams, stalls, and the trace hash across processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from k8sactors import simulation
from k8sactors.simulation import SECOND, StalledError, TimerCallbackError

ROOT = Path(__file__).parents[2]


def test_virtual_time_jumps_to_the_next_deadline() -> None:
    async def main() -> int:
        await trio.sleep(86_400)
        return simulation.current().now_ns()

    assert simulation.run(main) == 86_400 * SECOND


def test_timers_fire_in_order_and_at_their_instant() -> None:
    async def main() -> list[tuple[str, int]]:
        sim = simulation.current()
        fired: list[tuple[str, int]] = []

        def note(name: str) -> None:
            fired.append((name, sim.now_ns()))

        sim.timers.after(30, lambda: note("c"))
        sim.timers.after(10, lambda: note("a"))
        sim.timers.after(10, lambda: note("b"))
        sim.timers.after(20, lambda: note("never")).cancel()
        sim.timers.after(11, lambda: note("slack"), slack_ns=100)
        await trio.sleep(1e-6)
        return fired

    assert simulation.run(main) == [("a", 10), ("b", 10), ("c", 30), ("slack", 100)]


def test_a_wait_that_nothing_can_end_is_reported_instead_of_hanging() -> None:
    with pytest.raises(StalledError, match="no timer is set"):
        simulation.run(trio.sleep_forever)


def test_a_failing_timer_callback_ends_the_run_with_its_cause() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        simulation.current().timers.after(5, fail)
        await trio.sleep(1)

    with pytest.raises(TimerCallbackError) as caught:
        simulation.run(main)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_streams_are_independent_of_each_other() -> None:
    async def draws(*, disturb: bool) -> list[float]:
        sim = simulation.current()
        if disturb:
            sim.random("other").random()
        return [sim.random("mine").random() for _ in range(3)]

    async def calm() -> list[float]:
        return await draws(disturb=False)

    async def disturbed() -> list[float]:
        return await draws(disturb=True)

    assert simulation.run(calm, seed=7) == simulation.run(disturbed, seed=7)
    assert simulation.run(calm, seed=7) != simulation.run(calm, seed=8)


def test_the_real_clock_runs_at_its_speed() -> None:
    async def main() -> int:
        fired: list[int] = []
        sim = simulation.current()
        sim.timers.after(SECOND, lambda: fired.append(sim.now_ns()))
        await trio.sleep(20)
        return fired[0]

    assert SECOND <= simulation.run(main, clock=simulation.RealClock(speed=200.0)) < 20 * SECOND


CANARY = """
import random, sys
import trio
from k8sactors import simulation
from k8sactors.actors import Actor
from k8sactors.fabric import open_fabric

shuffled = [object() for _ in range(random.Random(sys.argv[1]).randrange(10_000))]
del shuffled[::2]

class Gossip(Actor):
    def on_start(self):
        self.peers = [f"h{n}/gossip" for n in range(8)]
        self.tick()
    def tick(self):
        peer = self.ctx.random.choice(self.peers)
        self.ctx.datagram(peer, "rumour", {"n": self.ctx.random.randrange(1000), "set": "abc"})
        self.ctx.after(self.ctx.random.randrange(1, 50_000_000), self.tick)
    async def main(self):
        while True:
            await trio.sleep(self.ctx.random.random())
            self.ctx.connect(self.ctx.random.choice(self.peers)).send("hello", None)

async def main():
    async with open_fabric(default_latency_ns=1_000_000) as network:
        for n in range(8):
            network.add_host(f"h{n}").spawn("gossip", Gossip)
        network.degrade("h0", "h1", jitter_ns=5_000_000, loss=0.2, duplicate=0.2, reorder=0.2)
        await trio.sleep(20)
        network.hosts["h3"].kill()
        await trio.sleep(20)
        return simulation.current().trace.hexdigest()

print(simulation.run(main, seed=42))
"""


def _interpreters() -> list[str]:
    """This interpreter, and other supported ones that are installed and start (pyenv's too)."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {sys.version_info[:2]: sys.executable}
    for minor in (11, 12, 13):
        candidates = [shutil.which(f"python3.{minor}")]
        candidates += map(str, sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python")))
        for path in filter(None, candidates):
            starts = subprocess.run([path, "-c", ""], capture_output=True, check=False)
            if starts.returncode == 0:
                found.setdefault((3, minor), path)
    return list(found.values())


def test_the_trace_hash_does_not_depend_on_hash_seeds_addresses_or_python_version() -> None:
    # Other interpreters borrow this one's packages: all that the canary needs is pure Python
    # (msgpack falls back to its Python implementation there).
    packages = Path(trio.__file__).parents[1]
    hashes = {
        subprocess.run(
            [python, "-c", CANARY, hash_seed],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": f"{ROOT}:{packages}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for python in _interpreters()
        for hash_seed in ("1", "2", "77")
    }
    assert len(hashes) == 1
