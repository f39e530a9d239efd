"""All nodes as columns, for questions about thousands of nodes at once.

A row belongs to a node from its arrival until its removal. Columns are numpy arrays, filled from
the NodeInfo objects lazily: a change only marks its row, and `sync` copies the marked rows before
the columns are read. Columns of labels and of extended resources are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import eq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k8sactors.scheduler.node_selector import SelectorTerm
from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import Requirements
from k8sactors.scheduler.taints import Taint

__all__ = ["LabelColumn", "NodeTable", "Rows"]

# Rows of the node table, each at most once.
Rows = NDArray[np.intp]

IntColumn = NDArray[np.int64]

_INT_COLUMNS = (
    "allocatable_milli_cpu",
    "allocatable_memory",
    "allocatable_ephemeral",
    "allocatable_pods",
    "requested_milli_cpu",
    "requested_memory",
    "requested_ephemeral",
    "scored_milli_cpu",
    "scored_memory",
    "pod_count",
)


class LabelColumn:
    """The values of one label on all nodes, as small codes; code 0 stands for its absence."""

    def __init__(self, capacity: int) -> None:
        self.codes: NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self.values: list[str | None] = [None]
        self._code_of: dict[str, int] = {}

    def set(self, row: int, value: str | None) -> None:
        """Note the value of a row."""
        self.codes[row] = 0 if value is None else self._code(value)

    def _code(self, value: str) -> int:
        code = self._code_of.get(value)
        if code is None:
            code = self._code_of[value] = len(self.values)
            self.values.append(value)
        return code

    def accepted_by(self, accepts: Callable[[str | None], bool], rows: Rows) -> NDArray[np.bool_]:
        """For each row whether its value is accepted; asks once per distinct value."""
        verdicts = np.fromiter(map(accepts, self.values), np.bool_, len(self.values))
        return verdicts[self.codes[rows]]


class NodeTable:
    """The columns. Rows that no node uses are False in `exists`."""

    allocatable_milli_cpu: IntColumn
    allocatable_memory: IntColumn
    allocatable_ephemeral: IntColumn
    allocatable_pods: IntColumn
    requested_milli_cpu: IntColumn
    requested_memory: IntColumn
    requested_ephemeral: IntColumn
    scored_milli_cpu: IntColumn
    scored_memory: IntColumn
    pod_count: IntColumn
    exists: NDArray[np.bool_]
    unschedulable: NDArray[np.bool_]
    has_host_ports: NDArray[np.bool_]
    # An index into `taint_sets`.
    taint_set: NDArray[np.int32]

    def __init__(self) -> None:
        self.nodes: list[NodeInfo | None] = []
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self._taint_set_number: dict[tuple[Taint, ...], int] = {(): 0}
        self._labels: dict[str, LabelColumn] = {}
        self._extended: dict[str, tuple[IntColumn, IntColumn]] = {}
        self._free_rows: list[int] = []
        self._dirty: dict[int, None] = {}
        self._dirty_specs: dict[int, None] = {}
        self._capacity = 0
        self._grow(64)

    @property
    def size(self) -> int:
        """How many rows there are, used or not."""
        return len(self.nodes)

    def add(self, node: NodeInfo) -> None:
        """Give a node its row."""
        if self._free_rows:
            node.row = self._free_rows.pop()
            self.nodes[node.row] = node
        else:
            node.row = len(self.nodes)
            self.nodes.append(node)
            if node.row >= self._capacity:
                self._grow(2 * self._capacity)
        self.mark_spec(node.row)

    def remove(self, node: NodeInfo) -> None:
        """Take a node's row back."""
        self.nodes[node.row] = None
        self._free_rows.append(node.row)
        self.mark_spec(node.row)
        node.row = -1

    def mark(self, row: int) -> None:
        """The pods on the node have changed."""
        self._dirty[row] = None

    def mark_spec(self, row: int) -> None:
        """The Node object has changed."""
        self._dirty_specs[row] = None

    def rows(self) -> Rows:
        """The rows in use, after bringing the columns up to date."""
        self.sync()
        return np.flatnonzero(self.exists[: self.size])

    def sync(self) -> None:
        """Copy what has changed into the columns."""
        for row in self._dirty_specs:
            self._copy_spec(row)
        self._dirty_specs.clear()
        for row in self._dirty:
            self._copy_usage(row)
        self._dirty.clear()

    def label_column(self, key: str) -> LabelColumn:
        """The column of a label; call `sync` or `rows` before."""
        column = self._labels.get(key)
        if column is None:
            column = self._labels[key] = LabelColumn(self._capacity)
            for node in self.nodes:
                if node is not None:
                    column.set(node.row, node.labels.get(key))
        return column

    def extended_columns(self, name: str) -> tuple[IntColumn, IntColumn]:
        """(allocatable, requested) of an extended resource."""
        columns = self._extended.get(name)
        if columns is None:
            columns = (np.zeros(self._capacity, np.int64), np.zeros(self._capacity, np.int64))
            self._extended[name] = columns
            for node in self.nodes:
                if node is not None:
                    columns[0][node.row] = node.allocatable_extended.get(name, 0)
                    columns[1][node.row] = node.requested_extended.get(name, 0)
        return columns

    def selected_by(self, need: Requirements, rows: Rows) -> NDArray[np.bool_]:
        """For each row whether it meets a pod's nodeSelector and required node affinity."""
        mask = np.ones(len(rows), dtype=np.bool_)
        for key, value in need.node_selector.items():
            mask &= self.label_column(key).accepted_by(partial(eq, value), rows)
        if need.required_terms is not None:
            any_term = np.zeros(len(rows), dtype=np.bool_)
            for term in need.required_terms:
                any_term |= self.matches(term, rows)
            mask &= any_term
        return mask

    def matches(self, term: SelectorTerm, rows: Rows) -> NDArray[np.bool_]:
        """`NodeInfo.matches` for each row."""
        if term.empty:
            return np.zeros(len(rows), dtype=np.bool_)
        mask = np.ones(len(rows), dtype=np.bool_)
        for expression in term.labels:
            mask &= self.label_column(expression.key).accepted_by(expression.accepts, rows)
        for expression in term.names:
            mask &= self.name_mask(expression.accepts, rows)
        return mask

    def name_mask(self, accepts: Callable[[str], bool], rows: Rows) -> NDArray[np.bool_]:
        """For each row whether the node's name is accepted."""
        nodes = self.nodes
        names = (node.name if node is not None else "" for node in map(nodes.__getitem__, rows))
        return np.fromiter(map(accepts, names), np.bool_, len(rows))

    def _copy_spec(self, row: int) -> None:
        node = self.nodes[row]
        self.exists[row] = node is not None
        if node is None:
            return
        self.allocatable_milli_cpu[row] = node.allocatable_milli_cpu
        self.allocatable_memory[row] = node.allocatable_memory
        self.allocatable_ephemeral[row] = node.allocatable_ephemeral
        self.allocatable_pods[row] = node.allocatable_pods
        self.unschedulable[row] = node.unschedulable
        self.taint_set[row] = self._number_taints(node.taints)
        for key, column in self._labels.items():
            column.set(row, node.labels.get(key))
        for name, (allocatable, _) in self._extended.items():
            allocatable[row] = node.allocatable_extended.get(name, 0)
        self._dirty[row] = None

    def _copy_usage(self, row: int) -> None:
        node = self.nodes[row]
        if node is None:
            return
        self.requested_milli_cpu[row] = node.requested_milli_cpu
        self.requested_memory[row] = node.requested_memory
        self.requested_ephemeral[row] = node.requested_ephemeral
        self.scored_milli_cpu[row] = node.scored_milli_cpu
        self.scored_memory[row] = node.scored_memory
        self.pod_count[row] = node.pod_count
        self.has_host_ports[row] = bool(node.host_ports)
        for name, (_, requested) in self._extended.items():
            requested[row] = node.requested_extended.get(name, 0)

    def _number_taints(self, taints: tuple[Taint, ...]) -> int:
        number = self._taint_set_number.get(taints)
        if number is None:
            number = self._taint_set_number[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
        return number

    def _grow(self, capacity: int) -> None:
        for name in _INT_COLUMNS:
            setattr(self, name, _grown(getattr(self, name, None), capacity, np.int64))
        for name in ("exists", "unschedulable", "has_host_ports"):
            setattr(self, name, _grown(getattr(self, name, None), capacity, np.bool_))
        self.taint_set = _grown(getattr(self, "taint_set", None), capacity, np.int32)
        for column in self._labels.values():
            column.codes = _grown(column.codes, capacity, np.int32)
        for name, (allocatable, requested) in self._extended.items():
            self._extended[name] = (
                _grown(allocatable, capacity, np.int64),
                _grown(requested, capacity, np.int64),
            )
        self._capacity = capacity


def _grown(old: NDArray[Any] | None, capacity: int, dtype: type) -> NDArray[Any]:
    new: NDArray[Any] = np.zeros(capacity, dtype=dtype)
    if old is not None:
        new[: len(old)] = old
    return new
