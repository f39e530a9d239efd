"""How functions are declared: a name, and overloads by the types of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs
from cel_expr_python import cel

from k8sactors.cel.types import VALUE, VALUE_TYPE, Opaque

Type: TypeAlias = cel.Type


@attrs.frozen
class Overload:
    """A function for parameters of these types; a member has its receiver as the first one."""

    name: str
    parameters: tuple[Type | Opaque, ...]
    result: Type | Opaque
    call: Callable[..., Any]
    member: bool = True


def function(
    name: str, parameters: Sequence[Type | Opaque], result: Type | Opaque, call: Any
) -> Overload:
    """A function that is called by its name alone: `quantity("1Gi")`."""
    return Overload(name, tuple(parameters), result, call, member=False)


def method(
    name: str, parameters: Sequence[Type | Opaque], result: Type | Opaque, call: Any
) -> Overload:
    """A function that is called on its first parameter: `"a".find("b")`."""
    return Overload(name, tuple(parameters), result, call)


def declare(name: str, overloads: Sequence[Overload]) -> cel.CelExtension:
    """The library's form of functions: an extension, which may add to functions of others."""
    alike: dict[tuple[str, ...], list[Overload]] = {}
    for each in overloads:
        types = (_type_of(parameter).name() for parameter in each.parameters)
        alike.setdefault((each.name, str(each.member), *types), []).append(each)
    grouped: dict[str, list[cel.Overload]] = {}
    for number, siblings in enumerate(alike.values()):
        first = siblings[0]
        declared = cel.Overload(
            f"{name}_{number}",
            _type_of(first.result),
            [_type_of(each) for each in first.parameters],
            first.member,
            _by_kind(siblings),
        )
        grouped.setdefault(first.name, []).append(declared)
    return cel.CelExtension(
        name, [cel.FunctionDecl(function_name, found) for function_name, found in grouped.items()]
    )


def _type_of(declared: Type | Opaque) -> Type:
    return VALUE_TYPE if isinstance(declared, Opaque) else declared


def _by_kind(overloads: Sequence[Overload]) -> Callable[..., Any]:
    """Calls the overload whose opaque parameters are of the arguments' kinds."""
    calls = {
        tuple(each.name for each in overload.parameters if isinstance(each, Opaque)): overload.call
        for overload in overloads
    }
    if len(calls) == 1 and () in calls:
        return calls[()]

    def call(*arguments: Any) -> Any:
        found = calls.get(tuple(each.kind for each in arguments if isinstance(each, VALUE)))
        if found is None:
            raise ValueError("no such overload")
        return found(*arguments)

    return call
