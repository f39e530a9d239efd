"""Compiling and evaluating expressions with Kubernetes' functions.

An `Environment` declares variables; programs are compiled once and evaluated on plain JSON values.
The steps of one evaluation are bounded: 10,000 iterations of all its loops together end it with
`CostLimitError`, and an expression is at most 10,000 characters long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import (
    ext_bindings,
    ext_encoders,
    ext_math,
    ext_optional,
    ext_strings,
)

from k8sactors.cel import types
from k8sactors.cel.declaration import Overload, Type, declare
from k8sactors.cel.errors import CompileError, compile_error, evaluation_error
from k8sactors.cel.functions import addresses, lists, quantities, regex, semver, urls
from k8sactors.cel.syntax import names_in, tree_of

EXPRESSION_CHARACTERS_MAX: Final = 10_000
_FUNCTIONS: Final[tuple[Overload, ...]] = (
    *lists.OVERLOADS,
    *regex.OVERLOADS,
    *quantities.OVERLOADS,
    *addresses.OVERLOADS,
    *urls.OVERLOADS,
    *semver.OVERLOADS,
)
_ERROR: Final = "ERROR"


class Program:
    """A compiled expression."""

    __slots__ = ("_expression", "_type_name", "names", "source", "tree")

    def __init__(self, source: str, expression: cel.Expression) -> None:
        self.source = source
        self._expression = expression
        self._type_name: str = expression.return_type().name()
        # The syntax tree (`cel.syntax`), and the variables in it.
        self.tree = tree_of(expression.serialize())
        self.names = names_in(self.tree)

    @property
    def type_name(self) -> str:
        """The type of its value: `BOOL`, `STRING`, `DYN` (only known when evaluated) ..."""
        return self._type_name

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value of the expression, in plain Python types.

        Raises:
            EvaluationError: a key is missing, a type does not fit.
            CostLimitError: its loops take too many steps.
        """
        try:
            found = self._expression.eval(data=values)
            if found.type().name() != _ERROR:
                return found.plain_value()
            text = str(found.plain_value())
        except RuntimeError as error:
            text = str(error)
        raise evaluation_error(text)


class Environment:
    """The variables that expressions may name, by their types, and functions beyond the common."""

    def __init__(self, variables: Mapping[str, Type], functions: Sequence[Overload] = ()) -> None:
        self._environment = cel.NewEnv(
            types.POOL,
            variables=dict(variables),
            extensions=[
                ext_strings.ExtStrings(),
                ext_optional.ExtOptional(),
                ext_math.ExtMath(),
                ext_bindings.ExtBindings(),
                ext_encoders.ExtEncoders(),
                declare("kubernetes", [*_FUNCTIONS, *functions]),
            ],
        )

    def compile(self, source: str) -> Program:
        """A program that can be evaluated again and again.

        Raises:
            CompileError: the text says where and why.
        """
        if len(source) > EXPRESSION_CHARACTERS_MAX:
            text = f"expression is longer than {EXPRESSION_CHARACTERS_MAX} characters"
            raise CompileError(text)
        try:
            return Program(source, self._environment.compile(source))
        except RuntimeError as error:
            raise compile_error(error) from error
