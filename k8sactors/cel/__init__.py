"""The Common Expression Language with Kubernetes' functions: rules of schemas and policies.

environment   compile and evaluate
declaration   how functions are declared, for those that have more of them (authorizers)
functions/    Kubernetes' libraries, one file each
syntax        the tree of an expression

Importing this package loads native code: import it where the first expression is compiled.
"""

from __future__ import annotations

from k8sactors.cel.declaration import Overload, Type, function, method
from k8sactors.cel.environment import Environment, Program
from k8sactors.cel.errors import CelError, CompileError, CostLimitError, EvaluationError

__all__ = [
    "CelError",
    "CompileError",
    "CostLimitError",
    "Environment",
    "EvaluationError",
    "Overload",
    "Program",
    "Type",
    "function",
    "method",
]
