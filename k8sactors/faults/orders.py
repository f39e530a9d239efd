"""What is done to a cluster on purpose, and comes at a bad time: orders to its operator.

An order takes a while and may fail; the operator, an actor on a machine that faults do not reach,
goes on trying while the next faults strike.
"""

from typing import Protocol, cast

from k8sactors.fabric import Network
from k8sactors.faults.fault import LEADER, Parameters, Targets
from k8sactors.simulation import Random

OPERATOR_HOST = "console"
OPERATOR = "operator"


class Operator(Protocol):
    """Whoever carries out orders."""

    def order(self, kind: str, parameters: Parameters) -> None:
        """Take an order; carry it out when those before it are done."""


def give_order(network: Network, kind: str, parameters: Parameters) -> None:
    """Tell the operator, if there is one."""
    machine = network.hosts.get(OPERATOR_HOST)
    operator = machine.actor(OPERATOR) if machine is not None else None
    if operator is not None:
        cast("Operator", operator).order(kind, parameters)


class Order:
    """Something that the operator is told to do."""

    kind = "transfer-leader"
    verb = "transfer the leadership to"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Any member, be it up or down."""
        return {"host": random.choice(targets.store_hosts)}

    def inject(self, network: Network, parameters: Parameters) -> None:
        """Give the order, if there is somebody to take it."""
        give_order(network, self.kind, parameters)

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Nothing: what is done is done."""

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{self.verb} {parameters['host']}"


class LeaderTransfer(Order):
    """Hand the leadership to another member, in the middle of everything."""


class MemberAdd(Order):
    """Let a new member join, on a machine that is free."""

    kind = "add-member"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """As a learner, to be promoted when it has caught up; or as a voter at once."""
        del targets
        return {"learner": random.choice((False, True))}

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"add a {'learner and promote it' if parameters['learner'] else 'voter'}"


class MemberRemoval(Order):
    """Go on without a member: any of them, the leader too, be it up or down."""

    kind = "remove-member"
    verb = "remove the member on"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Whom, and how many must be left."""
        host = random.choice((LEADER, random.choice(targets.store_hosts)))
        return {"host": host, "fewest": random.choice((1, 2, 2, 3))}

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{super().describe(parameters)} if more than {parameters['fewest']} are there"


class MemberReplacement(Order):
    """A member is stopped for good, removed, and a new one started in its place."""

    kind = "replace-member"
    verb = "replace the member on"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """Whom, and how the new one joins."""
        return {**super().draw(random, targets), "learner": random.choice((False, True))}

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        joins = "a learner" if parameters["learner"] else "a voter"
        return f"{super().describe(parameters)} and add {joins}"


class JointReplacement(Order):
    """A member is stopped for good, and another one takes its place in one step of two quorums."""

    kind = "replace-jointly"
    verb = "replace, by joint consensus, the member on"


class LostDisk(MemberReplacement):
    """A disk is lost for good; the only sound way back is as a new member.

    Who takes the orders does not carry this one out if the cluster could not do without the member.
    """

    kind = "lost-disk"
    verb = "lose the disk of"


class BitRot(MemberReplacement):
    """A bit of what a disk holds flips while its member is down: it is refused, and replaced."""

    kind = "bit-rot"
    verb = "flip a bit on the disk of"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """And which bit."""
        return {**super().draw(random, targets), "rot_seed": random.getrandbits(32)}

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"{super().describe(parameters)} ({parameters['rot_seed']})"


class Compaction(Order):
    """Forget history, with watchers and readers in the middle of it."""

    kind = "compact"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """How many of the newest revisions stay."""
        del targets
        return {"kept": random.choice((0, 1, 10, 50))}

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        return f"compact all but {parameters['kept']} revisions"


class QuotaExceeded(Order):
    """Fill the store up to its quota, if it has one: it must refuse writes, and nothing else.

    At the end the operator makes room again and clears the alarm.
    """

    kind = "exceed-quota"
    relief = "make-room"

    def draw(self, random: Random, targets: Targets) -> Parameters:
        """There is nothing to choose."""
        del random, targets
        return {}

    def undo(self, network: Network, parameters: Parameters) -> None:
        """Order what ends it."""
        give_order(network, self.relief, parameters)

    def describe(self, parameters: Parameters) -> str:
        """One line for timelines."""
        del parameters
        return "fill the store up to its quota"
