"""Numbers that no sensible client sends, and that must not hurt any other client."""

from __future__ import annotations

from raftstore.mvcc import Store, WatchHub
from raftstore.wire import PutRequest, RangeRequest, WatchCreateRequest

LOWEST = -(2**63)


def _store() -> Store:
    store = Store(1, 1)
    for key in (b"a", b"b"):
        store.apply_wire("put", PutRequest(key, b"1").to_wire(), 0)
    return store


def test_a_negative_limit_means_none() -> None:
    fields = RangeRequest(b"a", b"\0", limit=LOWEST).to_wire()
    code, answer = _store().read_wire("range", fields, 0)
    assert (code, len(answer[1])) == (0, 2)


def test_a_negative_start_revision_means_from_now_on() -> None:
    store = _store()
    hub = WatchHub(store)
    hub.create(WatchCreateRequest(b"a", start_revision=LOWEST).to_wire(), "sink")
    assert all(not item[1][5] or item[1][5] == b"\x90" for item in hub.collect())
    store.apply_wire("put", PutRequest(b"a", b"2").to_wire(), 0)
    (_sink, payload), *rest = hub.collect()
    assert payload[1] == store.revision
    assert rest == []
