"""Kinds as records: one home, one loader, a scheme per server."""

from __future__ import annotations

import pkgutil
import sys
from pathlib import Path

import pytest

from k8sactors.api import kinds
from k8sactors.api.errors import UnknownResourceError
from k8sactors.api.kind import Kind, Served
from k8sactors.api.scheme import Scheme, builtin
from k8sactors.api.validation import validate_create

WIDGET = """
from k8sactors.api.kind import Kind, Served
from k8sactors.api.schema import Schema

KINDS = (
    Kind(
        kind="Widget",
        plural="widgets",
        served=(Served("example.com", "v1", default=lambda obj: {"size": 1, **obj}),),
        short_names=("wd",),
        schema=Schema({"properties": {"size": {"type": "integer"}}}),
    ),
)
"""


def test_a_new_module_is_a_new_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Loaded once and kept: before the module is there, in whatever order the tests run.
    builtin_count = len(kinds.builtin_kinds())
    (tmp_path / "widgets.py").write_text(WIDGET)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    try:
        found = kinds.load_kinds()
    finally:
        sys.modules.pop("k8sactors.api.kinds.widgets", None)
    served = Scheme(info for kind in found for info in kind.infos())
    info = served.lookup("wd")
    assert (info.name, info.full_name) == ("widgets.example.com", "widgets.v1.example.com")
    assert len(found) == builtin_count + 1


def test_every_module_holds_records() -> None:
    modules = [
        module.name
        for module in pkgutil.walk_packages(kinds.__path__, "k8sactors.api.kinds.")
        if not module.ispkg
    ]
    assert "k8sactors.api.kinds.core.pods" in modules
    assert {kind.plural for kind in kinds.builtin_kinds()} >= {"pods", "deployments", "leases"}


def test_what_is_added_to_one_scheme_is_in_no_other() -> None:
    gadget = Kind(kind="Gadget", plural="gadgets", served=(Served("example.com", "v1"),))
    mine, other = builtin(), builtin()
    mine.add(gadget)
    assert mine.resource("gadgets.example.com").kind == "Gadget"
    with pytest.raises(UnknownResourceError):
        other.resource("gadgets")
    mine.remove(gadget)
    with pytest.raises(UnknownResourceError):
        mine.lookup("gadget")


def test_a_resource_is_named_short_or_in_full() -> None:
    scheme = builtin()
    latest = scheme.kind("autoscaling/v2", "HorizontalPodAutoscaler")
    older = scheme.kind("autoscaling/v1", "HorizontalPodAutoscaler")
    assert scheme.resource("horizontalpodautoscalers") is latest
    assert scheme.resource("horizontalpodautoscalers.autoscaling") is latest
    assert scheme.resource("horizontalpodautoscalers.v1.autoscaling") is older
    assert older.name == "horizontalpodautoscalers.v1.autoscaling"
    assert older.storage_name == latest.storage_name
    assert scheme.resource("pods.v1.") is scheme.resource("pods")
    assert scheme.resource("events.events.k8s.io").storage_name == "events"


def test_names_obey_the_rule_of_their_kind() -> None:
    scheme = builtin()
    role = {"metadata": {"name": "system:node", "namespace": "x"}}
    assert validate_create(scheme.resource("roles.rbac.authorization.k8s.io"), role) == []
    assert validate_create(scheme.resource("leases.coordination.k8s.io"), role) != []
