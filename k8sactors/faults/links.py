"""Faults of links that several injectors share: cuts between two groups of hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from k8sactors.fabric import Network
from k8sactors.faults.fault import Change, Draw, Fault, Group, Strikes, Targets
from k8sactors.faults.parameters import Flag, Hosts, OtherHosts, Parameter, Parameters
from k8sactors.observe.text import few

ONE_WAY_SHARE: Final = 0.3
"""How often a cut that is drawn is one-way."""

CUT: Final[dict[str, Parameter]] = {
    "a": Hosts("the hosts on one side"),
    "b": OtherHosts("the hosts on the other side; all others unless given"),
    "one_way": Flag("only what goes from a to b is lost", default=False),
}
"""The parameters of a cut between two groups."""


def pairs(parameters: Parameters) -> Iterator[tuple[str, str]]:
    """The pairs of hosts between two groups."""
    for a in parameters["a"]:
        for b in parameters["b"]:
            if a != b:
                yield a, b


def cut(network: Network, parameters: Parameters) -> None:
    """Cut every link between two groups."""
    for a, b in pairs(parameters):
        network.cut(a, b, one_way=parameters["one_way"])


def mend(network: Network, parameters: Parameters) -> None:
    """Mend every link between two groups."""
    for a, b in pairs(parameters):
        network.mend(a, b)


def describe_cut(parameters: Parameters) -> str:
    """One line for timelines."""
    arrow = "->" if parameters["one_way"] else "|"
    return f"cut {few(parameters['a'], ',')} {arrow} {few(parameters['b'], ',')}"


def others(targets: Targets, side: Sequence[str]) -> list[str]:
    """The hosts on the other side of a cut."""
    return [host for host in targets.hosts if host not in side]


def cut_fault(
    name: str,
    title: str,
    draw: Draw,
    parameters: Mapping[str, Parameter] = CUT,
    *,
    inject: Change = cut,
    describe: Callable[[Parameters], str] = describe_cut,
    common: bool = False,
) -> Fault:
    """A fault that cuts links between two groups of hosts, and is healed by mending them."""
    return Fault(
        name=name,
        title=title,
        group=Group.NETWORK,
        strikes=Strikes.LINK,
        parameters=parameters,
        draw=draw,
        inject=inject,
        heal=mend,
        describe=describe,
        common=common,
    )
