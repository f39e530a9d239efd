"""Sound histories of every kind pass every check; planted violations are found by all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from benches.checkers import KINDS, main
from k8sactors.chaos.store.generated_history import GeneratedHistory, Scenario, generate_history
from k8sactors.chaos.store.mix import FEATURES, LEASES
from k8sactors.checkers.exact import check_exactly
from k8sactors.checkers.kv_history import ActionKind, Operation, Outcome
from k8sactors.checkers.kv_partition import Expiry, expiries, expiries_ns, is_judged, partition
from k8sactors.checkers.kv_wire import refused, to_message, to_outcome
from k8sactors.checkers.linearizability import Verdict, check_linearizable, check_revisions
from k8sactors.checkers.linearization_by_revision import explains
from k8sactors.checkers.reference import ReferenceStore, Reply
from k8sactors.checkers.search import search
from k8sactors.checkers.watch import check_watch
from k8sactors.checkers.watch_exact import check_watch_exactly

SCENARIOS = st.builds(
    Scenario,
    st.integers(1, 80),
    st.integers(1, 6),
    st.sampled_from((0.0, 0.05, 0.2)),
    features=st.lists(st.sampled_from(FEATURES), unique=True).map(tuple),
)
GENERATED = st.builds(generate_history, SCENARIOS, st.integers(0, 10_000))
BUSY = st.builds(
    generate_history,
    st.just(Scenario(90, 3, 0.02, features=FEATURES)),
    st.integers(0, 10_000),
)
LEASED = st.builds(
    generate_history, st.just(Scenario(90, 3, 0.02, features=(LEASES,))), st.integers(0, 10_000)
)
QUICK = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def by_log(generated: GeneratedHistory) -> list[str]:
    history = generated.history
    found = check_exactly(generated.committed, history.operations, history.discarded).findings
    return [finding.check for finding in found]


def black_box(generated: GeneratedHistory) -> list[str]:
    operations = generated.history.operations
    found = [finding.check for finding in check_revisions(operations)]
    if any(search(part).verdict is Verdict.VIOLATED for part in partition(operations)):
        found.append("linearizability")
    return found


@QUICK
@given(GENERATED)
def test_a_sound_history_passes_every_check(generated: GeneratedHistory) -> None:
    operations = generated.history.operations
    report = check_linearizable(operations)
    assert report.verdict is Verdict.LINEARIZABLE, report.text
    assert check_revisions(operations) == []
    found = check_exactly(generated.committed, operations, generated.history.discarded)
    assert [str(each) for each in found.findings] == []
    assert check_watch(generated.watches) == []
    assert check_watch_exactly(generated.watches, generated.committed.times_ns()) == []


@QUICK
@given(GENERATED)
def test_the_search_needs_no_revisions_to_accept_a_sound_history(
    generated: GeneratedHistory,
) -> None:
    """What the guide accepts by revisions the search accepts without."""
    for part in partition(generated.history.operations):
        assert search(part).verdict is not Verdict.VIOLATED


def test_revisions_lead_to_the_order_of_a_sound_history() -> None:
    """The quick way is the usual one: else it would be of no use."""
    found = []
    for seed in range(10):
        operations = generate_history(Scenario(200, features=FEATURES), seed).history.operations
        found.append(explains(operations, expiries(operations)))
    assert sum(found) >= 9


def test_revisions_lead_to_the_order_of_leases_over_many_keys() -> None:
    """A refusal of a lease that has ended names no revision, and tells when the lease ended."""
    names = tuple(f"key-{number}" for number in range(40))
    scenario = Scenario(2_000, 20, 0.02, names, (LEASES,), watchers=0)
    for seed in range(2, 6):
        operations = generate_history(scenario, seed).history.operations
        assert explains(operations, expiries(operations))


# -- the definition -----------------------------------------------------------------------------


def permuted(pending: list[Operation | Expiry], done: list[tuple[str, list[Any]]]) -> bool:
    """Whether some permutation explains all answers: the definition, by the reference store."""
    answered = [each for each in pending if isinstance(each, Operation) and each.outcome]
    if not answered:
        return True
    first_return = min(each.return_order or 0 for each in answered)
    for each in pending:
        rest = [other for other in pending if other is not each]
        if isinstance(each, Expiry):
            early = each.after_order >= first_return
            if not early and permuted(rest, [*done, ("lease_revoke", [each.lease])]):
                return True
            continue
        if each.call_order > first_return and not each.request.serializable:
            continue
        message = to_message(each.request, "")
        if _answers_fit(each, message.op, message.to_wire(), done):
            more = [] if message.op in READS else [(message.op, message.to_wire())]
            if permuted(rest, [*done, *more]):
                return True
    return False


READS = ("range", "lease_keep_alive")


def _answers_fit(
    each: Operation, op: str, fields: list[Any], done: list[tuple[str, list[Any]]]
) -> bool:
    """Whether the answer is the one that is right after what has been done."""
    store = ReferenceStore()
    for earlier in done:
        store.apply(*earlier)
    if each.outcome is None:
        return True
    if op == "range":
        reply = Reply(store.revision, store.read(fields, store.revision))
    elif op == "lease_keep_alive":
        reply = Reply(store.revision, [fields[0], store.leases.get(fields[0], 0)])
    else:
        told = store.apply(op, fields)
        assert told is not None
        reply = told
    if reply.refusal is not None:
        return refused(reply.refusal) == each.outcome
    due = to_outcome(each.request, [[0, 0, reply.revision, 0], *reply.fields], "")
    return attrs.evolve(due, revision=None) == attrs.evolve(each.outcome, revision=None)


SMALL = st.builds(
    generate_history,
    st.builds(
        Scenario,
        st.integers(2, 7),
        st.integers(1, 4),
        st.sampled_from((0.0, 0.3)),
        features=st.lists(st.sampled_from(FEATURES), unique=True).map(tuple),
    ),
    st.integers(0, 100_000),
)


@settings(QUICK, max_examples=150)
@given(SMALL, st.data())
def test_small_histories_are_judged_as_all_permutations_judge_them(
    generated: GeneratedHistory, data: st.DataObject
) -> None:
    """Sound ones, and ones where answers were swapped or made up."""
    operations = generated.history.operations
    reads = answered(generated, ActionKind.GET, ActionKind.DELETE)
    for read in reads if data.draw(st.booleans()) else ():
        assert read.outcome is not None
        is_get = read.request.success[0].kind is ActionKind.GET
        values = [a.value for each in operations for a in each.request.actions if a.value]
        result = data.draw(st.sampled_from([None, *values] if is_get else [0, 1]))
        told(read, attrs.evolve(read.outcome, results=(result,)))
    checked = [each for each in operations if is_judged(each)]
    expected = permuted([*checked, *expiries(operations)], [])
    verdict = check_linearizable(operations).verdict
    assert verdict is (Verdict.LINEARIZABLE if expected else Verdict.VIOLATED)


# -- planted violations -----------------------------------------------------------------------


def told(operation: Operation, outcome: Outcome) -> None:
    operation.outcome, operation.answer = outcome, None


def answered(generated: GeneratedHistory, *kinds: ActionKind) -> list[Operation]:
    """Answered requests of one action without a condition, in order of call."""
    return [
        each
        for each in generated.history.operations
        if each.outcome is not None
        and each.outcome.refusal is None
        and not each.request.compares
        and not each.request.revision
        and not each.request.serializable
        and len(each.request.success) == 1
        and each.request.success[0].kind in kinds
    ]


def followed(first: Operation, second: Operation) -> bool:
    return first.return_order is not None and first.return_order < second.call_order


def stale_reads(generated: GeneratedHistory) -> Iterator[tuple[Operation, bytes]]:
    """Reads, and a value each that was overwritten before they were called."""
    puts = answered(generated, ActionKind.PUT)
    for read in answered(generated, ActionKind.GET):
        (get,) = read.request.success
        mine = [put for put in puts if put.request.success[0].key == get.key]
        for old in mine:
            if any(followed(old, new) and followed(new, read) for new in mine):
                yield read, old.request.success[0].value


def plant_stale_read(generated: GeneratedHistory, choose: Callable[[int], int]) -> bool:
    found = list(stale_reads(generated))
    if not found:
        return False
    read, value = found[choose(len(found))]
    assert read.outcome is not None
    told(read, attrs.evolve(read.outcome, results=(value,)))
    return True


def plant_lost_write(generated: GeneratedHistory, choose: Callable[[int], int]) -> bool:
    """As if an acknowledged write had not happened: who saw it saw what was before."""
    puts = answered(generated, ActionKind.PUT)
    reads = answered(generated, ActionKind.GET)
    found = []
    for old in puts:
        for lost in puts:
            (first,), (second,) = old.request.success, lost.request.success
            saw = [
                read
                for read in reads
                if read.outcome is not None and read.outcome.results == (second.value,)
            ]
            same = first.key == second.key and followed(old, lost)
            if same and any(followed(lost, read) for read in saw):
                found.append((first.value, saw))
    if not found:
        return False
    value, saw = found[choose(len(found))]
    for read in saw:
        assert read.outcome is not None
        told(read, attrs.evolve(read.outcome, results=(value,)))
    return True


def plant_lost_update(generated: GeneratedHistory, choose: Callable[[int], int]) -> bool:
    """Two compare-and-sets of the same value both succeed."""
    sets = [
        each
        for each in generated.history.operations
        if each.outcome is not None
        and each.outcome.refusal is None
        and len(each.request.success) == len(each.request.compares) == 1
        and not each.request.failure
        and each.request.compares[0].value is not None
        and each.request.compares[0].key == each.request.success[0].key
    ]
    won = {each.request.compares[0] for each in sets if each.outcome and each.outcome.succeeded}
    lost = [
        each
        for each in sets
        if each.outcome and not each.outcome.succeeded and each.request.compares[0] in won
    ]
    if not lost:
        return False
    loser = lost[choose(len(lost))]
    assert loser.outcome is not None
    told(loser, attrs.evolve(loser.outcome, succeeded=True, results=(None,)))
    return True


def plant_split_transaction(generated: GeneratedHistory, choose: Callable[[int], int]) -> bool:
    """A read of several keys sees one write of a transaction, and of another what was before."""
    changes: dict[int, dict[str, object]] = {}
    before: dict[tuple[int, str], object] = {}
    writers: dict[object, Operation] = {
        action.value: each for each in _all(generated) for action in each.request.actions
    }
    for change in generated.committed.store.changes:
        changes.setdefault(change.revision, {})[change.key] = change.value
        if change.previous is not None:
            before[change.revision, change.key] = change.previous.value
    found = []
    for read in answered(generated, ActionKind.RANGE):
        assert read.outcome is not None
        (pairs,) = read.outcome.results
        assert isinstance(pairs, tuple)
        held: dict[str, object] = dict(pairs)
        for revision, written in changes.items():
            both = [key for key in written if held.get(key) == written[key] is not None]
            if len(both) > 1 and (revision, both[0]) in before:
                old, new = before[revision, both[0]], written[both[0]]
                if followed(writers[old], writers[new]):
                    found.append((read, pairs, both[0], old))
    if not found:
        return False
    read, pairs, key, value = found[choose(len(found))]
    split = tuple((each, value if each == key else held) for each, held in pairs)
    assert read.outcome is not None
    told(read, attrs.evolve(read.outcome, results=(split,)))
    return True


def plant_reordered_revision(generated: GeneratedHistory, choose: Callable[[int], int]) -> bool:
    """Two writes, one after the other, swap their revisions."""
    puts = answered(generated, ActionKind.PUT)
    found = [(one, other) for one in puts for other in puts if followed(one, other)]
    if not found:
        return False
    one, other = found[choose(len(found))]
    assert one.outcome is not None
    assert other.outcome is not None
    first, second = one.outcome, other.outcome
    told(one, attrs.evolve(first, revision=second.revision))
    told(other, attrs.evolve(second, revision=first.revision))
    return True


def plant_phantom_expiry(generated: GeneratedHistory, choose: Callable[[int], int]) -> bool:
    """A key on a lease that must live is read as gone, and no client may have deleted it."""
    ends_ns = expiries_ns(generated.history.operations)
    found = []
    for put in answered(generated, ActionKind.PUT):
        (action,) = put.request.success
        if not action.lease or action.lease not in ends_ns:
            continue
        for read in answered(generated, ActionKind.GET):
            same = read.request.success[0].key == action.key and followed(put, read)
            if not same or (read.returned_ns or 0) >= ends_ns[action.lease][1]:
                continue
            if not any(_may_delete(each, action.key, put, read) for each in _all(generated)):
                found.append(read)
    if not found:
        return False
    read = found[choose(len(found))]
    assert read.outcome is not None
    told(read, attrs.evolve(read.outcome, results=(None,)))
    return True


def _all(generated: GeneratedHistory) -> list[Operation]:
    return [*generated.history.operations, *generated.history.discarded]


def _may_delete(each: Operation, key: str, put: Operation, read: Operation) -> bool:
    """Whether it may have removed the key between the two, or put it on another lease."""
    if followed(each, put) or followed(read, each) or each is put:
        return False
    writes = [action for action in each.request.actions if action.kind is not ActionKind.GET]
    return any(
        action.kind is ActionKind.REVOKE or action.covers(key)
        for action in writes
        if action.kind is not ActionKind.RANGE
    )


PLANTS = {
    "stale read": (plant_stale_read, BUSY),
    "lost acknowledged write": (plant_lost_write, BUSY),
    "lost update": (plant_lost_update, BUSY),
    "split transaction": (plant_split_transaction, BUSY),
    "reordered revision": (plant_reordered_revision, BUSY),
    "phantom lease expiry": (plant_phantom_expiry, LEASED),
}


@pytest.mark.parametrize("name", PLANTS)
@settings(QUICK, max_examples=10)
@given(data=st.data())
def test_every_planted_violation_is_found_with_and_without_the_log(
    name: str, data: st.DataObject
) -> None:
    plant, histories = PLANTS[name]
    generated = data.draw(histories)
    assume(plant(generated, lambda count: data.draw(st.integers(0, count - 1))))
    assert by_log(generated)
    assert black_box(generated)


@QUICK
@given(BUSY, st.data())
def test_the_log_shows_whatever_can_be_seen_without_it(
    generated: GeneratedHistory, data: st.DataObject
) -> None:
    """Any two answers to requests of a kind swapped: what the search finds, the log shows too."""
    kind = data.draw(st.sampled_from((ActionKind.GET, ActionKind.RANGE, ActionKind.DELETE)))
    candidates = answered(generated, kind)
    assume(len(candidates) > 1)
    one = data.draw(st.sampled_from(candidates))
    other = data.draw(st.sampled_from(candidates))
    assume(one.outcome != other.outcome)
    first, second = one.outcome, other.outcome
    assert first is not None
    assert second is not None
    told(one, second)
    told(other, first)
    if black_box(generated):
        assert by_log(generated)


@QUICK
@given(BUSY, st.data())
def test_an_entry_that_is_missing_in_the_log_or_too_many_is_found(
    generated: GeneratedHistory, data: st.DataObject
) -> None:
    history = generated.history
    written = answered(generated, ActionKind.PUT)
    assume(written)
    victim = data.draw(st.sampled_from(written))
    # It was acknowledged, but another log is shown.
    victim.request = attrs.evolve(
        victim.request, success=(attrs.evolve(victim.request.success[0], value=b"another"),)
    )
    found = check_exactly(generated.committed, history.operations, history.discarded).findings
    messages = [finding.message for finding in found if finding.check == "exact-log"]
    assert any("stands nowhere in the log" in message for message in messages)
    assert any("no client asked for" in message for message in messages)


def test_the_benchmark_measures_every_kind_and_finds_nothing() -> None:
    words = ["--operations", "60", "--clients", "4", "--ambiguous", "10%", "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    runs = json.loads(result.output)["runs"]
    assert [run["kind"] for run in runs] == list(KINDS)
    assert {(run["verdict"], run["exact_findings"]) for run in runs} == {("linearizable", 0)}
    assert CliRunner().invoke(main, ["--ambiguous", "many"]).exit_code == 2
