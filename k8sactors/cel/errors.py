"""Every error of the expression language.

CelError
├── CompileError         the expression does not parse, or its types do not fit
└── EvaluationError      a value is missing or of the wrong type
    └── CostLimitError   ... evaluation would have taken too long
"""

from __future__ import annotations

import re


class CelError(Exception):
    """The root of this package's errors."""


class CompileError(CelError):
    """The expression does not parse, or its types do not fit: line, column and why."""


class EvaluationError(CelError):
    """An expression could not be evaluated on the values it was given."""


class CostLimitError(EvaluationError):
    """Evaluation was ended: it takes more steps than one expression may."""


_CODE = re.compile(r"^[A-Z_]+: ")
_TRAILER = re.compile(r" \[[A-Z_]+\]$")
_NO_KEY = re.compile(r'Key not found in map : "(.*)"', re.DOTALL)
_NO_OVERLOAD = re.compile(r"No matching overloads found ?:")
# The texts of the implementation, and those of cel-go, which the real server shows.
_TEXTS = {
    "divide by zero": "division by zero",
    "modulus by zero": "modulus by zero",
    "integer overflow": "return error for overflow",
    "Applying SELECT to non-message type": "no such overload",
}


def compile_error(error: Exception) -> CompileError:
    """What the compiler says, without the names of the library's codes."""
    return CompileError(_plain(str(error)))


def evaluation_error(text: str) -> EvaluationError:
    """What the interpreter says, in the words of cel-go."""
    plain = _plain(text)
    if "Iteration budget exceeded" in plain:
        return CostLimitError("operation cancelled: actual cost limit exceeded")
    missing = _NO_KEY.match(plain)
    if missing is not None:
        return EvaluationError(f"no such key: {missing[1]}")
    if _NO_OVERLOAD.match(plain):
        return EvaluationError("no such overload")
    return EvaluationError(_TEXTS.get(plain, plain))


def _plain(text: str) -> str:
    return _TRAILER.sub("", _CODE.sub("", text))
