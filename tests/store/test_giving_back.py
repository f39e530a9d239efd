"""What a sweep frees of the C library's heap is given back while it is under way."""

from __future__ import annotations

import pytest

from raftstore.collector import give_back, relaxed_collector
from raftstore.mvcc import Store
from raftstore.server.background import STEPS_UNTIL_GIVEN_BACK, BackgroundWork


@pytest.fixture(name="trims")
def _trims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the heap was trimmed."""
    calls: list[int] = []
    monkeypatch.setattr("raftstore.collector._trims", [calls.append])
    return calls


def test_a_long_sweep_gives_back_now_and_then_and_at_its_end(trims: list[int]) -> None:
    store = Store()
    for number in range(150_000):
        store.apply_wire("put", [b"%d" % (number % 100), b"v", 0, False, False, False])
    store.apply_wire("compact", [store.revision, False])
    work = BackgroundWork(store)
    steps = 0
    while work:
        work.work(1)
        steps += 1
        assert len(trims) >= steps // STEPS_UNTIL_GIVEN_BACK
    assert len(trims) == -(-steps // STEPS_UNTIL_GIVEN_BACK) > 1
    work.work(1)
    assert len(trims) == -(-steps // STEPS_UNTIL_GIVEN_BACK)


def test_only_a_process_that_is_a_stores_own_is_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    class Library:
        malloc_trim = calls.append

    monkeypatch.setattr("ctypes.CDLL", lambda _name: Library)
    give_back()
    assert calls == []
    with relaxed_collector():
        give_back()
        assert calls == [0]
    give_back()
    assert calls == [0]


def test_a_library_that_cannot_trim_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def library(name: str | None) -> object:
        opened.append(name)
        return object()

    monkeypatch.setattr("ctypes.CDLL", library)
    with relaxed_collector():
        give_back()
    assert opened == [None]
