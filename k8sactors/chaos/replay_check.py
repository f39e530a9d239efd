"""Whether what stands in a replay file can be run: people edit such files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from k8sactors.chaos.store_mix import FEATURES
from k8sactors.faults.fault import LEADER
from k8sactors.faults.plan import CATALOGUE
from k8sactors.simulation import Random

if TYPE_CHECKING:
    from k8sactors.chaos.store_options import StoreChaos
    from k8sactors.faults import PlannedFault

MOST: Final = 1 << 62
RANGES: Final = {
    "members": (1, 9),
    "spares": (0, 9),
    "clients": (0, 1_000),
    "settle_ms": (1, MOST),
    "snapshot_entries": (1, MOST),
    "entries_per_message": (1, MOST),
    "election_ticks": (2, 1_000),
    "max_clock_drift_percent": (0, 99),
}
"""Of whole numbers, both ends included; all others are 0 or more."""
HOSTS: Final = frozenset(("host", "hosts", "a", "b", "bridge", "others", "source", "target"))
"""The parameters of faults that name machines."""


def check_options(options: dict[str, Any]) -> None:
    """Refuse numbers that no run can have.

    Raises:
        ValueError: the message names the option.
    """
    for name, value in options.items():
        if type(value) is int:
            least, most = RANGES.get(name, (0, MOST))
            if not least <= value <= most:
                upper = f" and at most {most}" if most < MOST else ""
                raise ValueError(f"option {name} must be at least {least}{upper}, it is {value}")
    for feature in options.get("features", ()):
        if feature not in FEATURES:
            known = ", ".join(FEATURES)
            raise ValueError(f"there is no feature {feature!r}; known: {known}")


def check_faults(chaos: StoreChaos) -> None:
    """Refuse faults that strike nobody, or that the run is over before.

    Raises:
        TypeError, ValueError: the message names the fault.
    """
    random = Random(0)
    for fault in chaos.plan or ():
        name = f"{fault.kind} at {fault.at_ms} ms"
        if fault.at_ms >= chaos.faults_ms:
            raise ValueError(f"{name} never strikes: faults end at {chaos.faults_ms} ms")
        _check_parameters(name, fault, CATALOGUE[fault.kind].draw(random, chaos.targets))
        _check_hosts(name, fault, chaos.hosts)


def _check_parameters(name: str, fault: PlannedFault, example: dict[str, Any]) -> None:
    given = fault.parameters
    for problem, keys in (
        ("lacks", example.keys() - given.keys()),
        ("does not know", given.keys() - example.keys()),
    ):
        if keys:
            raise ValueError(f"{name} {problem} {', '.join(sorted(keys))}")
    for key, value in given.items():
        wanted = type(example[key])
        if not isinstance(value, (int, float) if wanted is float else wanted):
            raise TypeError(f"{key} of {name} must be a {wanted.__name__}, it is {value!r}")


def _check_hosts(name: str, fault: PlannedFault, hosts: tuple[str, ...]) -> None:
    for key in HOSTS & fault.parameters.keys():
        value = fault.parameters[key]
        for host in value if isinstance(value, list) else [value]:
            if host not in hosts and host != LEADER:
                known = ", ".join((*hosts, LEADER))
                raise ValueError(f"{name}: there is no machine {host!r}; there are {known}")
