"""Is there one order of all operations that explains every answer and respects real time?

That is strict serialisability for transactions, linearizability for single operations. The check is
a black box's: it knows requests and answers, and looks at no revision that the store tells. The
history is split into parts that share no key (`kv_partition`), an order is looked for in each
(`search`), by a sequential specification (`kv_model`).

An operation of unknown outcome may take effect at any time after its call, or never. A lease may
expire at any time from its time to live after its last known renewal. A serializable read may be
of any time before its return.

Linearizability is prefix-closed: when a history is not linearizable, there is a first answer that
made it so. The report shows that answer, the states that were possible right before it, and a
minimal set of answers of which no order explains all (`shrink`).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kv_history import Operation
from k8sactors.checkers.kv_partition import Part, expiries, partition
from k8sactors.checkers.linearization_by_revision import explains
from k8sactors.checkers.revision_order import check_revisions
from k8sactors.checkers.search import MAX_CONFIGURATIONS, Verdict, possible_states, search
from k8sactors.checkers.shrink import Core, first_impossible, prefix, shrink

__all__ = ["Report", "Verdict", "check_linearizable", "check_revisions", "findings"]

# How many configurations are tried to find the states that were possible.
MAX_EXPLAINED = 20_000


@attrs.frozen
class Report:
    """What the check found."""

    # For the whole history.
    verdict: Verdict
    # The keys of the part that decided it (empty when linearizable).
    keys: tuple[str, ...] = ()
    # The operation whose answer no order explains; None if there is none.
    culprit: Operation | None = None
    # The smallest set of answers found of which no order explains all.
    core: Core | None = None
    # The states that were possible right before the culprit's answer.
    states: tuple[str, ...] = ()
    # The explanation in words.
    text: str = ""


def check_linearizable(
    operations: Sequence[Operation],
    max_configurations: int = MAX_CONFIGURATIONS,
    *,
    trust_clocks: bool = True,
) -> Report:
    """Judge a history of key-value operations that starts from an empty store.

    Args:
        operations: in any order.
        max_configurations: how many are tried per part before the check gives up.
        trust_clocks: whether members' clocks run at the rate of the recorder's, so that a lease
            which was renewed has to live.
    """
    if explains(operations, expiries(operations, trust_clocks=trust_clocks)):
        return Report(Verdict.LINEARIZABLE)
    undecided: Report | None = None
    for part in partition(operations, trust_clocks=trust_clocks):
        result = search(part, max_configurations)
        if result.verdict is Verdict.VIOLATED:
            return _explain(part, max_configurations)
        if result.verdict is Verdict.UNDECIDED:
            text = f"{result.verdict.value} on {', '.join(part.keys)}"
            undecided = undecided or Report(result.verdict, part.keys, text=text)
    return undecided or Report(Verdict.LINEARIZABLE)


def _explain(part: Part, max_configurations: int) -> Report:
    culprit = first_impossible(part, max_configurations)
    known = prefix(part.operations, culprit.return_order or 0)
    # The answer of the one in question says nothing of the states that were possible.
    states = possible_states(attrs.evolve(part, operations=tuple(known)), culprit, MAX_EXPLAINED)
    core = shrink(part, culprit)
    text = _text(culprit, core, states)
    return Report(Verdict.VIOLATED, part.keys, culprit, core, tuple(states), text)


def findings(operations: Sequence[Operation], *, trust_clocks: bool = True) -> list[Finding]:
    """The linearizability check in the form that chaos runs collect."""
    report = check_linearizable(operations, trust_clocks=trust_clocks)
    if report.culprit is None:
        return []
    return [Finding("linearizability", report.text, report.culprit.returned_ns or 0)]


def _text(culprit: Operation, core: Core, states: Sequence[str]) -> str:
    lines = [f"no order of the operations explains: {culprit}"]
    if states:
        lines.append("the store could only have held: " + " or ".join(states))
    lines.append("these answers contradict each other:")
    for operation in core.operations:
        mark = ">" if operation is core.culprit else " "
        lines.append(f"{mark} [{operation.call_order}, {operation.return_order}] {operation}")
    if core.perhaps:
        lines.append("whether or not, and whenever after their call, these took effect:")
        lines += [f"  [{each.call_order}, ...] {each}" for each in core.perhaps]
    if core.others:
        lines.append(f"({core.others} other operations do not help)")
    return "\n".join(lines)
