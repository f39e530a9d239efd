"""State next to the keys: applied like they are, and carried by the same snapshots."""

from __future__ import annotations

from typing import Any

from raftstore.mvcc import Store


class Counter:
    """The smallest section: one number that requests add to."""

    name = "counter"

    def __init__(self) -> None:
        self.total = 0
        self.writers = {"count": self._count}

    def _count(self, fields: list[Any], _now_ns: int) -> list[Any]:
        self.total += fields[0]
        return [0, [self.total]]

    def dump(self) -> Any:
        return self.total

    def load(self, data: Any) -> None:
        self.total = data or 0


def test_a_sections_requests_are_writes_and_are_applied() -> None:
    store, counter = Store(), Counter()
    store.extend(counter)
    assert "count" in store.write_ops
    assert store.apply_wire("count", [3]) == [0, [3]]
    assert counter.total == 3


def test_a_snapshot_carries_sections_and_one_without_them_resets_them() -> None:
    one, counter = Store(), Counter()
    one.extend(counter)
    one.apply_wire("count", [3])
    chunks = list(one.snapshot())
    one.apply_wire("count", [4])
    other, copied = Store(), Counter()
    other.extend(copied)
    other.restore(chunks)
    assert copied.total == 3
    other.restore(Store().snapshot())
    assert copied.total == 0
