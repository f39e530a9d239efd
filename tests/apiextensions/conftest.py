"""API servers on a store in memory, with custom resources."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def _load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_servers = _load("apiserver_world", HERE.parent / "apiserver" / "conftest.py")
_definitions = _load("crd_definitions", HERE / "definitions.py")

CRDS = "customresourcedefinitions.apiextensions.k8s.io"


class Custom:
    """A world with API servers, and what tests do with custom resources in it."""

    def __init__(self, servers: int = 1) -> None:
        self.world = _servers.World()
        for _ in range(servers):
            self.world.add_server()
        self.world.run()

    definition = staticmethod(_definitions.definition)
    version = staticmethod(_definitions.version)
    widget = staticmethod(_definitions.widget)

    def do(self, verb: str, resource: str = "widgets", name: str = "", **options: Any) -> Any:
        namespace = options.pop("namespace", None if resource == CRDS else "default")
        return self.world.do(verb, resource, namespace, name or None, **options)

    def define(self, *versions: dict[str, Any], **spec: Any) -> None:
        """Create a definition, and wait until it is established."""
        answer = self.do("create", CRDS, body=_definitions.definition(*versions, **spec))
        assert answer.code == 201, answer.status
        self.world.advance(1)

    def refused(self, body: dict[str, Any]) -> list[tuple[str, str]]:
        """Why a definition is refused: fields and texts."""
        answer = self.do("create", CRDS, body=body)
        assert answer.code == 422, answer.payload
        return _causes(answer)

    def create(self, name: str = "a", **fields: Any) -> Any:
        return self.do("create", body=_definitions.widget(name, **fields))

    def causes(self, answer: Any) -> list[tuple[str, str]]:
        assert answer.code == 422, answer.payload
        return _causes(answer)

    def conditions(self, name: str = "widgets.example.com") -> dict[str, str]:
        obj = self.do("get", CRDS, name).obj
        return {each["type"]: each["status"] for each in obj["status"]["conditions"]}


def _causes(answer: Any) -> list[tuple[str, str]]:
    causes = answer.status["details"]["causes"]
    return [(each["field"], each["message"]) for each in causes]


@pytest.fixture
def custom() -> Custom:
    return Custom()


@pytest.fixture
def two_servers() -> Custom:
    return Custom(2)
