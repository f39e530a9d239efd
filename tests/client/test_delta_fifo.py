"""DeltaFIFO: what waits for one key, and what a replacement says about the missing."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.client.delta_fifo import (
    ADDED,
    DELETED,
    REPLACED,
    SYNC,
    UPDATED,
    DeletedFinalStateUnknown,
    DeltaFIFO,
)


def obj(name: str, value: int = 0) -> dict[str, Any]:
    return {"metadata": {"name": name}, "value": value}


@pytest.mark.covers("CT-15", "CT-16")
def test_changes_before_a_pop_are_one_item_in_order() -> None:
    fifo = DeltaFIFO({})
    fifo.add(obj("a"))
    fifo.add(obj("b"))
    fifo.update(obj("a", 1))
    fifo.delete(obj("a", 2))
    assert fifo.pop() == ("a", [(ADDED, obj("a")), (UPDATED, obj("a", 1)), (DELETED, obj("a", 2))])
    assert fifo.pop() == ("b", [(ADDED, obj("b"))])
    assert fifo.pop() is None


def test_repeated_deletions_are_compressed_to_the_one_that_knows_the_state() -> None:
    fifo = DeltaFIFO({"a": obj("a")})
    fifo.replace([])
    fifo.delete(obj("a", 1))
    fifo.delete(obj("a", 2))
    assert fifo.pop() == ("a", [(DELETED, obj("a", 1))])


def test_replacement_marks_the_missing_as_deleted_with_their_last_known_state() -> None:
    fifo = DeltaFIFO({"gone": obj("gone"), "kept": obj("kept")})
    fifo.add(obj("queued"))
    fifo.replace([obj("kept", 1), obj("new")])
    lost = DeletedFinalStateUnknown("queued", obj("queued"))
    assert fifo.pop() == ("queued", [(ADDED, obj("queued")), (DELETED, lost)])
    assert fifo.pop() == ("kept", [(REPLACED, obj("kept", 1))])
    assert fifo.pop() == ("new", [(REPLACED, obj("new"))])
    assert fifo.pop() == ("gone", [(DELETED, DeletedFinalStateUnknown("gone", obj("gone")))])


def test_deletion_of_the_unknown_is_ignored() -> None:
    fifo = DeltaFIFO({})
    fifo.delete(obj("a"))
    assert fifo.pop() is None


def test_has_synced_once_the_first_set_is_popped() -> None:
    fifo = DeltaFIFO({})
    assert not fifo.has_synced
    fifo.replace([obj("a"), obj("b")])
    fifo.add(obj("c"))
    assert not fifo.has_synced
    fifo.pop()
    fifo.pop()
    assert fifo.has_synced


def test_resync_skips_keys_with_news() -> None:
    fifo = DeltaFIFO({"a": obj("a"), "b": obj("b")})
    fifo.update(obj("a", 1))
    fifo.resync()
    assert fifo.pop() == ("a", [(UPDATED, obj("a", 1))])
    assert fifo.pop() == ("b", [(SYNC, obj("b"))])
