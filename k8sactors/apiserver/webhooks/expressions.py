"""CEL over admission requests: the variables that conditions and policies may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from k8sactors import cel
from k8sactors.apiserver.webhooks.authorizer_functions import (
    OVERLOADS,
    authorizer_value,
    deciding,
    resource_value,
)
from k8sactors.apiserver.webhooks.typed_literals import as_maps
from k8sactors.cel.types import VALUE_TYPE

VARIABLES: Final = ("object", "oldObject", "request", "params", "namespaceObject", "variables")
AUTHORIZER: Final = "authorizer"
REQUEST_RESOURCE: Final = "authorizer.requestResource"


def _escape_key(text: str) -> str:
    """A key as a part of a JSON pointer (RFC 6901)."""
    return text.replace("~", "~0").replace("/", "~1")


_ENVIRONMENT: Final = cel.Environment(
    {
        **dict.fromkeys(VARIABLES, cel.Type.DYN),
        AUTHORIZER: VALUE_TYPE,
        REQUEST_RESOURCE: VALUE_TYPE,
    },
    [
        cel.function("jsonpatch.escapeKey", [cel.Type.STRING], cel.Type.STRING, _escape_key),
        *OVERLOADS,
    ],
)


def compile_expression(expression: str) -> Callable[[Mapping[str, Any]], Any]:
    """What evaluates the expression; variables that are not given are null.

    The authorizer asks `values["authorizer"]`: the user, and what decides (`Authorizer.decide`).

    Raises:
        CompileError: it is invalid.
    """
    program = _ENVIRONMENT.compile(as_maps(expression))
    names = [name for name in VARIABLES if name in program.names]
    asks = any(name.startswith(AUTHORIZER) for name in program.names)

    def evaluate(values: Mapping[str, Any]) -> Any:
        given: dict[str, Any] = {name: values.get(name) for name in names}
        if not asks:
            return program.evaluate(given)
        user, resource, decide = values[AUTHORIZER]
        given[AUTHORIZER] = authorizer_value(user)
        given[REQUEST_RESOURCE] = resource_value(user, **resource)
        with deciding(decide):
            return program.evaluate(given)

    return evaluate
