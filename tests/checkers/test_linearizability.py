"""The linearizability checker accepts every history that a correct store can produce, no other."""

from __future__ import annotations

import random  # noqa: TID251 - the type only: hypothesis draws the seed

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sactors.checkers.kv_history import (
    Action,
    ActionKind,
    Compare,
    History,
    Operation,
    Outcome,
    Request,
    compare_and_set,
    delete,
    get,
    put,
)
from k8sactors.checkers.linearizability import (
    Verdict,
    check_linearizable,
    check_revisions,
    findings,
)


def op(
    client: str, request: Request, call: int, end: int | None = None, *results: bytes | int | None
) -> Operation:
    outcome = None if end is None else Outcome(True, results or (None,) * len(request.success))
    return Operation(client, request, call, call * 1000, end, None if end is None else end, outcome)


def failed(client: str, request: Request, call: int, end: int) -> Operation:
    return Operation(client, request, call, call * 1000, end, end, Outcome(False, ()))


def verdict(*operations: Operation) -> Verdict:
    return check_linearizable(operations).verdict


def test_an_empty_history_is_linearizable() -> None:
    assert Verdict.LINEARIZABLE is verdict()


def test_a_read_sees_the_write_that_ended_before_it() -> None:
    assert Verdict.LINEARIZABLE is verdict(
        op("a", put("x", b"1"), 1, 2), op("b", get("x"), 3, 4, b"1")
    )


def test_a_stale_read_after_an_acknowledged_write_is_caught() -> None:
    report = check_linearizable(
        [
            op("a", put("x", b"1"), 1, 2),
            op("a", put("x", b"2"), 3, 4),
            op("b", get("x"), 5, 6, b"1"),
        ]
    )
    assert Verdict.VIOLATED is report.verdict
    assert report.culprit is not None
    assert str(report.culprit) == "b: get x -> 1"
    assert "the store could only have held: x=2" in report.text


def test_a_lost_acknowledged_write_is_caught() -> None:
    assert Verdict.VIOLATED is verdict(op("a", put("x", b"1"), 1, 2), op("b", get("x"), 3, 4, None))


def test_overlapping_reads_may_see_either_value() -> None:
    write = op("a", put("x", b"1"), 1, 10)
    assert Verdict.LINEARIZABLE is verdict(write, op("b", get("x"), 2, 3, None))
    assert Verdict.LINEARIZABLE is verdict(write, op("b", get("x"), 2, 3, b"1"))


def test_two_reads_in_sequence_never_go_back_in_time() -> None:
    assert Verdict.VIOLATED is verdict(
        op("a", put("x", b"1"), 1, 10),
        op("b", get("x"), 2, 3, b"1"),
        op("c", get("x"), 4, 5, None),
    )


def test_a_write_of_unknown_outcome_may_never_happen() -> None:
    assert Verdict.LINEARIZABLE is verdict(
        op("a", put("x", b"1"), 1), op("b", get("x"), 5, 6, None)
    )


def test_a_write_of_unknown_outcome_may_happen_late() -> None:
    assert Verdict.LINEARIZABLE is verdict(
        op("a", put("x", b"1"), 1),
        op("b", get("x"), 5, 6, None),
        op("b", get("x"), 7, 8, b"1"),
    )


def test_a_write_of_unknown_outcome_happens_at_most_once() -> None:
    assert Verdict.VIOLATED is verdict(
        op("a", put("x", b"1"), 1),
        op("b", get("x"), 2, 3, b"1"),
        op("b", put("x", b"2"), 4, 5),
        op("b", get("x"), 6, 7, b"1"),
    )


def test_a_write_never_takes_effect_before_it_is_called() -> None:
    assert Verdict.VIOLATED is verdict(op("b", get("x"), 1, 2, b"1"), op("a", put("x", b"1"), 3, 4))


def test_two_clients_never_both_win_a_compare_and_set() -> None:
    assert Verdict.VIOLATED is verdict(
        op("a", compare_and_set("lock", None, b"a"), 1, 4),
        op("b", compare_and_set("lock", None, b"b"), 2, 5),
    )
    assert Verdict.LINEARIZABLE is verdict(
        op("a", compare_and_set("lock", None, b"a"), 1, 4),
        failed("b", compare_and_set("lock", None, b"b"), 2, 5),
    )


def test_a_compare_that_must_hold_never_fails() -> None:
    assert Verdict.VIOLATED is verdict(failed("a", compare_and_set("x", None, b"1"), 1, 2))


def test_the_number_of_deleted_keys_is_checked() -> None:
    write = op("a", put("x", b"1"), 1, 2)
    assert Verdict.LINEARIZABLE is verdict(write, op("a", delete("x"), 3, 4, 1))
    assert Verdict.VIOLATED is verdict(write, op("a", delete("x"), 3, 4, 0))


def test_a_transaction_over_two_keys_is_atomic() -> None:
    both = Request(
        (Action(ActionKind.PUT, "x", b"1"), Action(ActionKind.PUT, "y", b"1")),
        (Compare("x", None),),
    )
    read = Request((Action(ActionKind.GET, "x"), Action(ActionKind.GET, "y")))
    assert Verdict.LINEARIZABLE is verdict(op("a", both, 1, 5), op("b", read, 2, 3, b"1", b"1"))
    assert Verdict.VIOLATED is verdict(op("a", both, 1, 5), op("b", read, 2, 3, b"1", None))


def test_single_key_reads_that_split_a_transaction_in_time_are_caught() -> None:
    both = Request((Action(ActionKind.PUT, "x", b"1"), Action(ActionKind.PUT, "y", b"1")))
    assert Verdict.VIOLATED is verdict(
        op("a", both, 1, 9), op("b", get("x"), 2, 3, b"1"), op("b", get("y"), 4, 5, None)
    )


def test_the_explanation_ends_at_the_first_impossible_answer() -> None:
    history = [op("a", put("x", str(n).encode()), 2 * n, 2 * n + 1) for n in range(1, 30)]
    history.append(op("b", get("x"), 100, 101, b"7"))
    history += [op("a", put("x", b"later"), 200, 201), op("a", get("x"), 202, 203, b"never")]
    report = check_linearizable(history)
    assert report.culprit is history[29]
    assert "the store could only have held: x=29" in report.text


def test_a_violation_is_shrunk_to_the_answers_that_contradict_each_other() -> None:
    history = [op("a", put("x", str(n).encode()), 2 * n, 2 * n + 1) for n in range(1, 30)]
    history += [op("c", get("x"), 70 + n, 80 + n, b"29") for n in range(5)]
    history.append(op("b", get("x"), 100, 101, b"7"))
    core = check_linearizable(history).core
    assert core is not None
    assert core.culprit is history[-1]
    # Written once, overwritten, and read nevertheless.
    assert core.operations[0] is history[6]
    assert core.operations[-1] is history[-1]
    assert len(core.operations) == 3
    assert core.others == len(history) - 3


def test_a_shrunk_violation_tells_of_the_lost_write_whose_value_was_seen() -> None:
    lost = op("a", put("x", b"1"), 1)
    new, old = op("b", get("x"), 2, 3, b"1"), op("b", get("x"), 4, 5, None)
    core = check_linearizable([lost, new, old]).core
    assert core is not None
    assert core.operations == (new, old)
    assert [str(each) for each in core.perhaps] == ["a: put x=1 -> outcome unknown"]


def test_an_undecidable_history_says_so_instead_of_guessing() -> None:
    many = [
        op(
            f"c{n}",
            compare_and_set("x", None if n < 12 else str(n - 12).encode(), str(n).encode()),
            n,
        )
        for n in range(24)
    ]
    reads = [op(f"r{n}", delete("x"), 30, 40 + n, 1) for n in range(6)]
    report = check_linearizable([*many, *reads, op("r", get("x"), 50, 51, b"0")], 5)
    assert Verdict.UNDECIDED is report.verdict


def test_the_recorder_orders_calls_and_returns_as_they_happen() -> None:
    history = History()
    write = history.invoke("a", put("x", b"1"), 10)
    lost = history.invoke("b", put("x", b"2"), 10)
    dropped = history.invoke("c", put("x", b"3"), 10)
    history.complete(write, Outcome(True, (None,), revision=2), 10)
    history.discard(dropped)
    read = history.invoke("a", get("x"), 10)
    history.complete(read, Outcome(True, (None,), revision=2), 11)
    assert lost.is_unknown
    found = findings(history.operations)
    assert [finding.check for finding in found] == ["linearizability"]
    assert found[0].time_ns == 11


def with_revision(operation: Operation, revision: int) -> Operation:
    assert operation.outcome is not None
    return attrs.evolve(operation, outcome=attrs.evolve(operation.outcome, revision=revision))


def test_an_answer_at_an_older_revision_than_one_seen_before_is_caught() -> None:
    newer = with_revision(op("a", put("x", b"1"), 1, 2), 7)
    older = with_revision(op("b", get("y"), 3, 4, None), 6)
    overlapping = with_revision(op("b", get("y"), 1, 4, None), 6)
    assert [f.check for f in check_revisions([newer, older])] == ["revision-order"]
    assert check_revisions([newer, overlapping]) == []


def test_two_writes_at_one_revision_are_caught() -> None:
    first = with_revision(op("a", put("x", b"1"), 1, 4), 7)
    second = with_revision(op("b", put("y", b"1"), 2, 5), 7)
    no_op = with_revision(op("b", delete("z"), 3, 6, 0), 7)
    assert [f.check for f in check_revisions([first, second])] == ["revision-unique"]
    assert check_revisions([first, no_op]) == []


@st.composite
def concurrent_histories(draw: st.DrawFn) -> list[Operation]:
    """Clients that overlap, served by one sequential map; some answers are lost."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    length = draw(st.integers(1, 40))
    clients = draw(st.integers(1, 5))
    keys = ["x", "y"][: draw(st.integers(1, 2))]
    state: dict[str, bytes] = {}
    history = History()
    active: dict[str, tuple[Operation, Outcome | None]] = {}
    names = [f"c{n}" for n in range(clients)]
    serial = 0
    while serial < length or active:
        name = chance.choice(names)
        if name not in active:
            if serial >= length:
                names = [other for other in names if other in active] or names
                continue
            serial += 1
            request = _some_request(chance, keys, serial)
            active[name] = (history.invoke(name, request, serial), None)
            continue
        operation, outcome = active[name]
        if outcome is None:
            if chance.random() < 0.1:
                # Never served: the client gives up, and continues under a new name.
                del active[name]
                names[names.index(name)] = name + "'"
                continue
            active[name] = (operation, _serve(state, operation.request))
            continue
        del active[name]
        if chance.random() < 0.1:
            names[names.index(name)] = name + "'"
            continue
        history.complete(operation, outcome, serial)
    return history.operations


def _some_request(chance: random.Random, keys: list[str], serial: int) -> Request:
    key = chance.choice(keys)
    value = str(serial).encode()
    kind = chance.randrange(5)
    if kind == 0:
        return get(key)
    if kind == 1:
        return put(key, value)
    if kind == 2:
        return delete(key)
    if kind == 3:
        expected = chance.choice([None, str(max(serial - 1, 1)).encode()])
        return compare_and_set(key, expected, value)
    return Request(
        tuple(Action(ActionKind.PUT, each, value) for each in keys),
        (Compare(key, None),),
        tuple(Action(ActionKind.GET, each) for each in keys),
    )


def _serve(state: dict[str, bytes], request: Request) -> Outcome:
    holds = all(state.get(compare.key) == compare.value for compare in request.compares)
    results: list[bytes | int | None] = []
    for action in request.success if holds else request.failure:
        if action.kind is ActionKind.PUT:
            state[action.key] = action.value
            results.append(None)
        elif action.kind is ActionKind.GET:
            results.append(state.get(action.key))
        else:
            results.append(int(state.pop(action.key, None) is not None))
    return Outcome(holds, tuple(results))


@settings(max_examples=200, deadline=None)
@given(concurrent_histories())
def test_every_history_of_a_sequential_map_with_overlap_is_accepted(
    operations: list[Operation],
) -> None:
    report = check_linearizable(operations)
    assert Verdict.LINEARIZABLE is report.verdict, report.text


@settings(max_examples=200, deadline=None)
@given(concurrent_histories(), st.data())
def test_an_answer_that_no_member_could_have_given_is_always_caught(
    operations: list[Operation], data: st.DataObject
) -> None:
    reads = [
        operation
        for operation in operations
        if operation.outcome is not None
        and operation.outcome.succeeded
        and ActionKind.GET is operation.request.success[0].kind
    ]
    if not reads:
        return
    victim = data.draw(st.sampled_from(reads))
    assert victim.outcome is not None
    victim.outcome = attrs.evolve(victim.outcome, results=(b"from nowhere",))
    report = check_linearizable(operations)
    assert Verdict.VIOLATED is report.verdict
    assert report.culprit is not None
    assert report.culprit.call_order == victim.call_order


@settings(max_examples=100, deadline=None)
@given(concurrent_histories())
def test_swapped_answers_are_judged_as_an_exhaustive_search_judges_them(
    operations: list[Operation],
) -> None:
    small = operations[:6]
    reads = [
        each for each in small if each.outcome and each.request.success[0].kind is ActionKind.GET
    ]
    if len(reads) >= 2:
        reads[0].outcome, reads[-1].outcome = reads[-1].outcome, reads[0].outcome
    expected = _exhaustive(small, {})
    assert expected == (Verdict.LINEARIZABLE is check_linearizable(small).verdict)


def _exhaustive(pending: list[Operation], state: dict[str, bytes]) -> bool:
    """The definition, without any of the checker's short cuts."""
    if all(operation.outcome is None for operation in pending):
        return True
    ends = [each.return_order for each in pending if each.return_order is not None]
    for operation in pending:
        if operation.call_order > min(ends):
            continue
        after = dict(state)
        answer = _serve(after, operation.request)
        told = operation.outcome
        if told is not None and (told.succeeded, told.results) != (
            answer.succeeded,
            answer.results,
        ):
            continue
        if _exhaustive([each for each in pending if each is not operation], after):
            return True
    return False


@pytest.mark.parametrize("length", [2000])
def test_a_long_history_without_faults_is_judged_in_linear_many_states(length: int) -> None:
    history = History()
    for number in range(length):
        write = history.invoke("a", put("x", str(number).encode()), number)
        read = history.invoke("b", get("x"), number)
        history.complete(write, Outcome(True, (None,)), number)
        history.complete(read, Outcome(True, (str(number).encode(),)), number)
    report = check_linearizable(history.operations, max_configurations=2 * length)
    assert Verdict.LINEARIZABLE is report.verdict
