"""What is done to a store on purpose and comes at a bad time: orders to its operator.

An order takes a while and may fail; the operator, an actor on a machine that faults do not reach,
continues to try while the next faults strike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from k8sactors.fabric import Network
from k8sactors.faults.disks import draw_store_host
from k8sactors.faults.fault import (
    OPERATOR_HOST,
    Change,
    Draw,
    Fault,
    Group,
    Need,
    Strikes,
    Targets,
    no_change,
)
from k8sactors.faults.parameters import Flag, Host, Parameter, Parameters
from k8sactors.simulation import Random

OPERATOR = "operator"
MAKE_ROOM = "make-room"
"""The order that ends an exceeded quota."""

MEMBER: dict[str, Parameter] = {"host": Host("the host of the member")}
LEARNER: dict[str, Parameter] = {
    "learner": Flag("the new member joins as a learner and is promoted later", default=False)
}


class Operator(Protocol):
    """The actor that carries out orders."""

    def order(self, kind: str, parameters: Parameters) -> None:
        """Take an order; carry it out when those before it are done."""


def give_order(name: str, network: Network, parameters: Parameters) -> None:
    """Tell the operator, if there is one."""
    machine = network.hosts.get(OPERATOR_HOST)
    operator = machine.actor(OPERATOR) if machine is not None else None
    if operator is not None:
        cast("Operator", operator).order(name, parameters)


def order(
    name: str,
    title: str,
    group: Group,
    describe: Callable[[Parameters], str],
    *,
    parameters: dict[str, Parameter] | None = None,
    draw: Draw = draw_store_host,
    heal: Change = no_change,
    needs: tuple[Need, ...] = (),
    crash_causes: tuple[str, ...] = (),
) -> Fault:
    """A fault that tells the operator to do something; by default to any member, up or down."""
    return Fault(
        name=name,
        title=title,
        group=group,
        strikes=Strikes.STORE,
        parameters=MEMBER if parameters is None else parameters,
        draw=draw,
        inject=partial(give_order, name),
        heal=heal,
        describe=describe,
        needs=(Need.OPERATOR, *needs),
        crash_causes=crash_causes,
    )


def draw_replacement(random: Random, targets: Targets) -> Parameters:
    """The member to replace, and how the new one joins."""
    return {**draw_store_host(random, targets), "learner": random.choice((False, True))}


def joins(parameters: Parameters) -> str:
    """How the new member joins, for timelines."""
    return "a learner" if parameters["learner"] else "a voter"
