"""Modules that serve all kinds alike know none of them by name.

What a kind does beyond the generic rules stands in its record, its strategy, a subresource or an
admission plugin; a name in a generic module is where that would begin to leak.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import k8sactors
from k8sactors.api.scheme import builtin

ROOT = Path(k8sactors.__file__).parent
# What is about one kind, and may say so: plugins, subresources, what a server creates, the kinds
# that prove who asks (accounts, bootstrap tokens) or say what is allowed (roles and bindings); and
# in paths and selectors, a namespace is both an object and where others lie.
OF_ONE_KIND = (
    "apiserver/admission/",
    # What is written down is an Event of its own kind, and never a Secret.
    "apiserver/audit_log.py",
    "apiserver/audit_policy.py",
    "apiserver/authn/",
    "apiserver/authz/",
    "apiserver/bootstrap.py",
    # Its objects are made, not stored.
    "apiserver/component_statuses.py",
    "apiserver/connectors/",
    # Features have names of kinds.
    "apiserver/feature_gates.py",
    # Its configuration is in objects of two kinds.
    "apiserver/priority_and_fairness/",
    "apiserver/subresources/",
    "apiserver/webhooks/",
    "gateway/paths.py",
)
NAMES = frozenset(
    name
    for info in builtin().resources()
    for name in (info.kind, info.plural, info.storage_name, info.name, info.list_kind)
)


def generic_modules() -> list[str]:
    files = [*ROOT.glob("apiserver/**/*.py"), *ROOT.glob("gateway/**/*.py")]
    names = sorted(str(file.relative_to(ROOT)) for file in files)
    return [name for name in names if not name.startswith(OF_ONE_KIND)]


def named_kinds(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    slots = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in slots:
            continue
        if isinstance(node, ast.Constant) and node.value in NAMES:
            yield f"line {node.lineno}: {node.value!r}"


@pytest.mark.parametrize("module", generic_modules())
def test_a_generic_module_names_no_kind(module: str) -> None:
    assert list(named_kinds((ROOT / module).read_text())) == []


def test_a_name_is_found() -> None:
    source = 'def write(resource):\n    if resource.name == "pods":\n        return "podsy"\n'
    assert list(named_kinds(source)) == ["line 2: 'pods'"]
