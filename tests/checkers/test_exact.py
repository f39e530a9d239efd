"""The check against the log finds each of the things that it is there for, and names them."""

from __future__ import annotations

from typing import Any

from k8sactors.chaos.store.check import check_states
from k8sactors.checkers.committed_log import CommittedLog, LogEntry
from k8sactors.checkers.exact import check_exactly
from k8sactors.checkers.kv_history import (
    Operation,
    Outcome,
    Refusal,
    Request,
    compact,
    get,
    grant,
    keep_alive,
    put,
    revoke,
)
from k8sactors.checkers.kv_wire import to_message
from k8sactors.simulation import SECOND
from raftstore.mvcc import Store


def entry(index: int, time_s: int, request: Request) -> LogEntry:
    message = to_message(request, "")
    return LogEntry(index, time_s * SECOND, message.op, message.to_wire())


def op(
    request: Request, call_s: int, end_s: int | None, revision: int | None, *results: Any
) -> Operation:
    """Ordinals are seconds."""
    outcome = None if end_s is None else Outcome(True, results or (None,), revision)
    returned = None if end_s is None else end_s * SECOND
    return Operation("c", request, call_s, call_s * SECOND, end_s, returned, outcome)


def refusal(request: Request, call_s: int, end_s: int, why: Refusal) -> Operation:
    told = Outcome(refusal=why)
    return Operation("c", request, call_s, call_s * SECOND, end_s, end_s * SECOND, told)


ONE, TWO = put("x", b"1"), put("x", b"2")
LOG = [entry(1, 2, ONE), entry(2, 5, TWO)]
WRITES = [op(ONE, 1, 3, 2), op(TWO, 4, 6, 3)]


def check(
    log: list[LogEntry], operations: list[Operation], discarded: list[Operation] | None = None
) -> list[str]:
    found = check_exactly(CommittedLog.of(log), operations, discarded or ())
    return [finding.check for finding in found.findings]


def test_what_the_log_says_passes() -> None:
    reads = [op(get("x"), 4, 7, 2, b"1"), op(get("x"), 7, 8, 3, b"2")]
    assert check(LOG, [*WRITES, *reads, op(put("y", b"3"), 9, None, None)]) == []


def test_a_value_that_was_never_there_is_a_wrong_answer() -> None:
    assert check(LOG, [*WRITES, op(get("x"), 7, 8, 3, b"1")]) == ["exact-answer"]


def test_a_revision_that_never_was_is_a_wrong_answer() -> None:
    assert check(LOG, [*WRITES, op(get("x"), 7, 8, 4, b"2")]) == ["exact-answer"]


def test_more_than_the_value_is_compared_where_the_whole_answer_was_recorded() -> None:
    read = op(get("x"), 7, 8, 3, b"2")
    read.answer = [[0, 0, 3, 0], [[b"x", 2, 3, 2, b"2", 0]], False, 1]
    assert check(LOG, [*WRITES, read]) == []
    read.answer = [[0, 0, 3, 0], [[b"x", 3, 3, 1, b"2", 0]], False, 1]
    assert check(LOG, [*WRITES, read]) == ["exact-answer"]


def test_a_true_answer_of_another_time_breaks_the_order() -> None:
    """It is what an old leader says: right once, and wrong for a client that asks now."""
    assert check(LOG, [*WRITES, op(get("x"), 7, 8, 2, b"1")]) == ["exact-order"]
    old = op(get("x", serializable=True), 7, 8, 2, b"1")
    assert check(LOG, [*WRITES, old]) == []
    early = op(get("x", serializable=True), 1, 4, 3, b"2")
    assert check(LOG, [*WRITES, early]) == ["exact-order"]


def test_an_effect_outside_call_and_return_breaks_the_order() -> None:
    assert check([entry(1, 9, ONE)], [op(ONE, 1, 3, 2)]) == ["exact-order"]
    assert check([entry(1, 1, ONE)], [op(ONE, 2, 3, 2)]) == ["exact-order"]


def test_an_acknowledged_write_that_no_log_holds_is_lost() -> None:
    assert check(LOG[:1], WRITES) == ["exact-log"]


def test_an_entry_needs_a_request() -> None:
    assert check(LOG, WRITES[:1]) == ["exact-log"]


def test_one_request_is_carried_out_once() -> None:
    twice = [*LOG, entry(3, 7, ONE)]
    assert check(twice, WRITES) == ["exact-log"]
    unknown = op(ONE, 1, None, None)
    assert check([entry(1, 2, ONE)], [unknown]) == []
    assert check([entry(1, 2, ONE), entry(2, 3, ONE)], [unknown]) == ["exact-log"]


def test_what_certainly_failed_stands_in_no_log() -> None:
    failed = op(TWO, 4, None, None)
    assert check(LOG[:1], WRITES[:1], [failed]) == []
    assert check(LOG, WRITES[:1], [failed]) == ["exact-log"]


GRANT = op(grant(7, 10), 1, 3, 1)
GRANTED = entry(1, 2, grant(7, 10))


def test_a_lease_may_end_when_its_time_is_over_and_not_before() -> None:
    assert check([GRANTED, entry(2, 11, revoke(7))], [GRANT]) == []
    assert check([GRANTED, entry(2, 10, revoke(7))], [GRANT]) == ["exact-lease"]


def test_a_renewal_moves_the_end() -> None:
    renewed = op(keep_alive(7), 8, 9, 1, 10)
    assert check([GRANTED, entry(2, 18, revoke(7))], [GRANT, renewed]) == []
    assert check([GRANTED, entry(2, 17, revoke(7))], [GRANT, renewed]) == ["exact-lease"]


def test_a_lease_is_not_told_to_be_gone_while_it_lives() -> None:
    assert check([GRANTED], [GRANT, op(keep_alive(7), 4, 5, 1, 0)]) == ["exact-lease"]
    assert check([GRANTED], [GRANT, op(keep_alive(7), 4, 11, 1, 0)]) == []


def test_a_lease_is_not_renewed_when_it_is_gone() -> None:
    log = [GRANTED, entry(2, 5, revoke(7))]
    ended = op(revoke(7), 4, 6, 1)
    assert check(log, [GRANT, ended, op(keep_alive(7), 7, 8, 1, 10)]) == ["exact-order"]
    assert check(log, [GRANT, ended, op(keep_alive(7), 7, 8, 1, 9)]) == ["exact-answer"]


def test_where_clocks_run_wrong_no_member_is_blamed_for_a_lease() -> None:
    committed = CommittedLog.of([GRANTED, entry(2, 4, revoke(7))])
    assert check_exactly(committed, [GRANT], trust_clocks=False).findings == []


def test_the_past_can_be_read_until_it_is_compacted() -> None:
    log = [*LOG, entry(3, 10, compact(3))]
    done = [*WRITES, op(compact(3), 9, 11, 3)]
    old = get("x", revision=2)
    assert check(log, [*done, op(old, 7, 8, 3, b"1")]) == []
    assert check(log, [*done, refusal(old, 12, 13, Refusal.COMPACTED)]) == []
    assert check(log, [*done, op(old, 12, 13, 3, b"1")]) == ["exact-order"]
    assert check(log, [*done, refusal(old, 7, 8, Refusal.COMPACTED)]) == ["exact-order"]
    future = get("x", revision=9)
    assert check(log, [*done, refusal(future, 7, 8, Refusal.FUTURE_REVISION)]) == []
    never = refusal(get("x", revision=3), 7, 8, Refusal.FUTURE_REVISION)
    assert check(log, [*done, never]) == ["exact-order"]


def test_a_member_that_holds_something_else_than_the_log_gives_is_named() -> None:
    committed = CommittedLog.of(LOG)
    sound, wrong = Store(1, 1), Store(1, 2)
    for store in (sound, wrong):
        for each in LOG:
            fields = each.fields if store is sound or each.index == 1 else LOG[0].fields
            store.apply_wire(each.op, [*fields])
    assert check_states(committed, [sound], 0) == []
    found = check_states(committed, [sound, wrong], 0)
    assert [finding.check for finding in found] == ["exact-state", "state-equality"]
    assert found[0].message.startswith("member 2: at revision 3 it holds")
    wrong.apply_wire(LOG[0].op, [*LOG[0].fields])
    assert "the log ends at 3" in check_states(committed, [wrong], 0)[0].message
