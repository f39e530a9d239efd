"""The authorizer in CEL: `authorizer.group('apps').resource('deployments').check('create')`.

Source: documentation of CEL in Kubernetes, "Kubernetes authorizer library". What is asked for is
gathered in the text of an opaque value; `check` asks the authorizer of the server that evaluates
the expression. An evaluation does not wait for anything, so there is one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from k8sactors import cel
from k8sactors.api.errors import SuspendedError
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.cel.types import Opaque

Decide = Callable[[Attributes], Any]


class _Asked:
    """What decides, and what it needs first: that is raised when the evaluation has ended."""

    def __init__(self, decide: Decide) -> None:
        self.decide = decide
        self.needed: SuspendedError | None = None


_AUTHORIZER: Final = Opaque("kubernetes.authorization.Authorizer")
_PATH: Final = Opaque("kubernetes.authorization.PathCheck")
_GROUP: Final = Opaque("kubernetes.authorization.GroupCheck")
_RESOURCE: Final = Opaque("kubernetes.authorization.ResourceCheck")
_DECISION: Final = Opaque("kubernetes.authorization.Decision")
_deciding: list[_Asked] = []


@contextmanager
def deciding(decide: Decide) -> Iterator[None]:
    """While the block runs, `check` asks this authorizer.

    Raises:
        SuspendedError: the authorizer needs something first; the block is to be run again.
    """
    asked = _Asked(decide)
    _deciding.append(asked)
    try:
        yield
    finally:
        _deciding.pop()
        if asked.needed is not None:
            # What the evaluation has found without the answer does not count.
            raise asked.needed


def authorizer_value(user: UserInfo) -> Any:
    """The variable `authorizer`: it speaks for the user who asks."""
    return _AUTHORIZER.make(json.dumps({"user": user.to_wire()}))


def resource_value(user: UserInfo, **asked: str) -> Any:
    """The variable `authorizer.requestResource`: what is written."""
    return _RESOURCE.make(json.dumps({"user": user.to_wire(), **asked}))


def _with(kind: Opaque, field: str) -> Callable[[Any, str], Any]:
    def extend(value: Any, given: str) -> Any:
        return kind.make(json.dumps({**json.loads(value.text), field: given}))

    return extend


def _service_account(value: Any, namespace: str, name: str) -> Any:
    del value
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    user = UserInfo(f"system:serviceaccount:{namespace}:{name}", groups=groups)
    return authorizer_value(user.authenticated())


def _check(value: Any, verb: str) -> Any:
    asked = json.loads(value.text)
    user = UserInfo.from_wire(asked.pop("user"))
    asking = _deciding[-1]
    try:
        decision = asking.decide(Attributes(user, verb, **asked))
    except SuspendedError as needed:
        asking.needed = needed
        return _DECISION.make(json.dumps([False, "", ""]))
    return _DECISION.make(json.dumps([bool(decision.allowed), decision.reason, decision.error]))


_TEXT: Final = cel.Type.STRING
OVERLOADS: Final = (
    cel.method("path", [_AUTHORIZER, _TEXT], _PATH, _with(_PATH, "path")),
    cel.method("group", [_AUTHORIZER, _TEXT], _GROUP, _with(_GROUP, "group")),
    cel.method("serviceAccount", [_AUTHORIZER, _TEXT, _TEXT], _AUTHORIZER, _service_account),
    cel.method("resource", [_GROUP, _TEXT], _RESOURCE, _with(_RESOURCE, "resource")),
    cel.method("subresource", [_RESOURCE, _TEXT], _RESOURCE, _with(_RESOURCE, "subresource")),
    cel.method("namespace", [_RESOURCE, _TEXT], _RESOURCE, _with(_RESOURCE, "namespace")),
    cel.method("name", [_RESOURCE, _TEXT], _RESOURCE, _with(_RESOURCE, "name")),
    cel.method("check", [_RESOURCE, _TEXT], _DECISION, _check),
    cel.method("check", [_PATH, _TEXT], _DECISION, _check),
    cel.method("allowed", [_DECISION], cel.Type.BOOL, lambda value: json.loads(value.text)[0]),
    cel.method("reason", [_DECISION], _TEXT, lambda value: json.loads(value.text)[1]),
    cel.method(
        "errored", [_DECISION], cel.Type.BOOL, lambda value: bool(json.loads(value.text)[2])
    ),
    cel.method("error", [_DECISION], _TEXT, lambda value: json.loads(value.text)[2]),
)
