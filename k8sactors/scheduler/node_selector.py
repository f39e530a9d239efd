"""Node selector terms, compiled: the language of nodeSelector and nodeAffinity.

A term is a conjunction; terms are alternatives. A term without any expression matches nothing.
A node is matched by `NodeInfo.matches`, all nodes at once by `NodeTable.matches`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Expression", "SelectorTerm", "parse_term", "parse_terms"]


class Expression(NamedTuple):
    """One requirement on a label's value."""

    key: str
    operator: str
    values: tuple[str, ...]

    def accepts(self, value: str | None) -> bool:
        """Whether a node with this value (None: without the label) meets the requirement."""
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                return self._compares(value)
            case _:
                return False

    def _compares(self, value: str | None) -> bool:
        number = _integer(value)
        bound = _integer(self.values[0]) if len(self.values) == 1 else None
        if number is None or bound is None:
            return False
        return number > bound if self.operator == "Gt" else number < bound


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


class SelectorTerm(NamedTuple):
    """Requirements on labels and on the node's name, all of which must hold."""

    labels: tuple[Expression, ...]
    names: tuple[Expression, ...]

    @property
    def empty(self) -> bool:
        """Whether the term says nothing, and so matches nothing."""
        return not self.labels and not self.names


def parse_term(term: Mapping[str, Any]) -> SelectorTerm:
    """A NodeSelectorTerm."""
    return SelectorTerm(
        tuple(_parse_expression(e) for e in term.get("matchExpressions") or ()),
        tuple(_parse_expression(e) for e in term.get("matchFields") or ()),
    )


def parse_terms(terms: Sequence[Mapping[str, Any]] | None) -> tuple[SelectorTerm, ...]:
    """The alternatives of a NodeSelector."""
    return tuple(parse_term(term) for term in terms or ())


def _parse_expression(expression: Mapping[str, Any]) -> Expression:
    return Expression(
        expression["key"], expression["operator"], tuple(expression.get("values") or ())
    )
