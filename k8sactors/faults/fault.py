"""What a fault is: a record that says what it strikes, how it begins and how it ends.

Each fault is one module in `injectors`, which holds its record as `FAULT`. A record has no state:
everything that is needed to heal stands in the parameters, which are plain data. So a plan of
faults can be printed, shrunk, written to a file and played again, and a scenario can name a fault
with its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import attrs

from k8sactors.fabric import Network
from k8sactors.faults.errors import BadParametersError
from k8sactors.faults.parameters import LEADER, REQUIRED, Parameter, Parameters
from k8sactors.simulation import Random

STORE_ACTOR: Final = "etcd"
"""The process of a store member."""

REIGN: Final = "reign_ms"
"""The parameter of faults that wait for the next leader: how long it leads before they strike."""

OPERATOR_HOST: Final = "console"
"""The machine of the clients and of the operator, which faults do not reach."""

WATCHER_HOST: Final = "watcher"
"""The machine of watchers that may be slow to take what they are sent."""


class Strikes(Enum):
    """What a fault breaks."""

    HOST = "host"
    LINK = "link"
    ACTOR = "actor"
    DISK = "disk"
    CLOCK = "clock"
    STORE = "store"


class Group(Enum):
    """The groups of faults by which a campaign can choose."""

    NETWORK = "network"
    PROCESS = "process"
    DISK = "disk"
    STORE = "store"
    MEMBERSHIP = "membership"
    CLOCK = "clock"


class Need(Enum):
    """What a fault needs that not every cluster has; the value tells a reader."""

    OPERATOR = "an operator who changes the members of the store"
    QUOTA = "a store with a quota"
    EXTERNAL_STORE = "a network between API servers and the store"


@attrs.frozen
class Targets:
    """What may be broken: host names, and the actors on each.

    `hosts` excludes the operator's machine; `store_hosts` carry a store member.
    """

    hosts: tuple[str, ...]
    store_hosts: tuple[str, ...]
    actors: tuple[tuple[str, str], ...]


@attrs.frozen
class Part:
    """One fault of a sequence; times in milliseconds.

    Without parameters they are drawn when the plan is.
    """

    at_ms: int
    duration_ms: int
    name: str
    parameters: Parameters | None = None


Draw = Callable[[Random, Targets], Parameters]
Change = Callable[[Network, Parameters], None]
Unfold = Callable[[Random, Targets, Parameters, int, int], Iterator[Part]]
"""The parts of a sequence: of its targets and parameters, a start and a length in milliseconds."""


def no_change(_network: Network, _parameters: Parameters) -> None:
    """What is done stays done: there is nothing to heal."""


@attrs.frozen(kw_only=True)
class Fault:
    """One kind of fault."""

    # As in plans, scenarios and on the command line.
    name: str
    # One line for readers: what happens.
    title: str
    group: Group
    strikes: Strikes
    parameters: Mapping[str, Parameter]
    # Chooses targets and severity.
    draw: Draw
    # One line for timelines.
    describe: Callable[[Parameters], str]
    inject: Change = no_change
    # Harmless when the target is well again for another reason.
    heal: Change = no_change
    # A sequence of simpler faults; `inject` and `heal` are those of its parts.
    unfold: Unfold | None = None
    # How the causes of crashes begin that are its own doing: these are no findings.
    crash_causes: tuple[str, ...] = ()
    # Whether it takes part when a campaign on a whole cluster names no faults.
    common: bool = False
    # Without these it does nothing; a scenario is told so before it starts.
    needs: tuple[Need, ...] = ()

    def complete(self, parameters: Parameters) -> Parameters:
        """The parameters with the defaults of those that are not given.

        Raises:
            BadParametersError: one is missing, unknown, or has a wrong value.
        """
        missing = [
            key
            for key, each in self.parameters.items()
            if each.default is REQUIRED and key not in parameters
        ]
        unknown = [key for key in parameters if key not in self.parameters]
        for problem, keys in (("lacks", missing), ("does not know", unknown)):
            if keys:
                raise BadParametersError(f"{problem} {', '.join(sorted(keys))}")
        whole = {}
        for key, each in self.parameters.items():
            value = parameters.get(key, each.default)
            whole[key] = list(value) if isinstance(value, tuple) else value
            problem_of_value = each.problem(whole[key])
            if problem_of_value is not None:
                raise BadParametersError(f"{key} must be {problem_of_value}, it is {value!r}")
        return whole


def resolved(parameters: Parameters, leader: str) -> Parameters:
    """The parameters with the leader's name in them."""

    def resolve(value: Any) -> Any:
        if isinstance(value, list):
            return [resolve(each) for each in value]
        return leader if value == LEADER else value

    return {name: resolve(value) for name, value in parameters.items()}


def aims_at_leader(parameters: Parameters) -> bool:
    """Whether a parameter names the leader of the moment."""
    return any(
        LEADER in value if isinstance(value, list) else value == LEADER
        for value in parameters.values()
    )
