"""What chaos clients ask for, and how they write down what they are told."""

from __future__ import annotations

import pytest

from k8sactors import simulation
from k8sactors.chaos.store.load import PREFIX
from k8sactors.chaos.store.mix import FEATURES, KEYS, LEASES, RequestMix
from k8sactors.checkers.kv_history import ActionKind, History, Outcome, Request, get, put
from k8sactors.checkers.kv_wire import to_message
from raftstore.mvcc import check_request


def _drawn(features: tuple[str, ...], count: int = 400) -> list[Request]:
    random = simulation.Random(7)
    mix = RequestMix("client", History(), features)
    return [mix.draw(random) for _ in range(count)]


def test_no_value_and_no_lease_is_written_twice() -> None:
    actions = [action for request in _drawn(FEATURES) for action in request.actions]
    values = [action.value for action in actions if action.kind is ActionKind.PUT]
    granted = [action.lease for action in actions if action.kind is ActionKind.GRANT]
    assert len(values) == len(set(values)) > 50
    assert len(granted) == len(set(granted)) > 5


@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_adds_requests_of_its_own_kind(feature: str) -> None:
    plain = {_shape(request) for request in _drawn(())}
    assert {_shape(request) for request in _drawn((feature,))} - plain


def _shape(request: Request) -> object:
    kinds = tuple(action.kind for action in request.actions)
    with_lease = any(action.lease for action in request.actions)
    return kinds, bool(request.compares), bool(request.revision), request.serializable, with_lease


def test_transactions_are_ones_that_the_store_takes() -> None:
    transactions = [
        request for request in _drawn(FEATURES) if request.compares or len(request.success) > 1
    ]
    assert transactions
    for request in transactions:
        check_request("txn", to_message(request, PREFIX).to_wire())


def test_a_lease_that_is_gone_is_not_used_again() -> None:
    random = simulation.Random(1)
    mix = RequestMix("client", History(), (LEASES,))
    first = next(action for action in _leased(mix, random) if action.kind is ActionKind.GRANT)
    mix.lost(first.lease)
    used = {action.lease for action in _leased(mix, random)}
    assert first.lease not in used


def _leased(mix: RequestMix, random: simulation.Random) -> list[object]:
    drawn = [mix.draw(random) for _ in range(30)]
    return [action for request in drawn for action in request.actions if action.lease]


def test_compares_guess_what_was_last_seen() -> None:
    history = History()
    mix = RequestMix("client", history)
    assert mix.last_seen("x") is None
    written = history.invoke("a", put("x", b"1"), 0)
    assert mix.last_seen("x") is None
    history.complete(written, Outcome(True, (None,), 5), 1)
    assert mix.last_seen("x") == b"1"
    old = history.invoke("a", get("x", revision=2), 2)
    history.complete(old, Outcome(True, (b"0",), 6), 3)
    assert mix.last_seen("x") == b"1"
    assert mix.newest_revision() == 6


def test_keys_lie_under_the_prefix_that_watchers_watch() -> None:
    wire = to_message(put(KEYS[0], b"v"), PREFIX).to_wire()
    assert wire[1][0][1][0] == (PREFIX + KEYS[0]).encode()
