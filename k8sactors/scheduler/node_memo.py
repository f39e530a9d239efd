"""Answers about single nodes that are kept until the node changes.

Preemption asks the same of every node for each pod of a template, and between two pods few nodes
change. What is kept belongs to one template: it must follow from what the template demands, from
the node, and from the pods that are nominated to it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["NodeMemo", "NodeMemos"]

T = TypeVar("T")

# The template that was asked about longest ago is forgotten.
_MAX_MEMOS = 16
_NONE: tuple[PodInfo, ...] = ()


class NodeMemo(Generic[T]):
    """One template's answers by node name."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[NodeInfo, int, Sequence[PodInfo], T]] = {}

    def of(
        self,
        node: NodeInfo,
        nominated: Sequence[PodInfo] | None,
        answer: Callable[[NodeInfo], T],
    ) -> T:
        """The answer for a node of the cache; `nominated` are the pods nominated to it."""
        nominated = nominated or _NONE
        known = self._known.get(node.name)
        if (
            known is not None
            and known[0] is node
            and known[1] == node.version
            and known[2] == nominated
        ):
            return known[3]
        found = answer(node)
        self._known[node.name] = (node, node.version, nominated, found)
        return found

    def bound(self, limit: int) -> None:
        """Forget everything when there are more answers than `limit`: most nodes have gone."""
        if len(self._known) > limit:
            self._known.clear()


class NodeMemos(Generic[T]):
    """The answers of the templates that were asked about last."""

    def __init__(self) -> None:
        self._memos: OrderedDict[Hashable, NodeMemo[T]] = OrderedDict()

    def of(self, template: Hashable, node_count: int) -> NodeMemo[T]:
        """The answers of a template, with room for the nodes that there are."""
        memo = self._memos.get(template)
        if memo is None:
            memo = self._memos[template] = NodeMemo()
            if len(self._memos) > _MAX_MEMOS:
                self._memos.popitem(last=False)
        else:
            self._memos.move_to_end(template)
        memo.bound(2 * node_count + 64)
        return memo
