from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


version_check = load("python_version")
newest = load("test_newest")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()


def requirements() -> list[str]:
    optional = PROJECT["optional-dependencies"]
    listed = [*PROJECT["dependencies"], *(line for extra in optional.values() for line in extra)]
    return [line for line in listed if not line.startswith("k8sactors")]


@pytest.mark.parametrize("requirement", requirements())
def test_every_dependency_is_locked(requirement: str) -> None:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    assert newest.canonical(match[0]) in newest.locked_versions(LOCK)


def test_every_pin_has_hashes_and_no_address() -> None:
    pins = re.split(r"(?m)^(?=[A-Za-z0-9])", LOCK)[1:]
    assert len(pins) > 30
    assert not [pin.partition("\n")[0] for pin in pins if "--hash=sha256:" not in pin]
    assert "://" not in LOCK
    assert "index-url" not in LOCK


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_supported_versions_of_python_are_taken(version: tuple[int, int]) -> None:
    assert not version_check.problem(version)


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 15), (4, 0)])
def test_other_versions_are_refused_and_the_supported_ones_named(version: tuple[int, int]) -> None:
    problem = version_check.problem(version)
    assert "supports Python 3.11 to 3.14" in problem
    assert f"this is Python {version[0]}.{version[1]}" in problem
    assert "make PYTHON=" in problem


def test_the_project_states_the_same_versions_as_the_check() -> None:
    (low, high) = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    assert (3, int(low)) == version_check.OLDEST
    assert (3, int(high) - 1) == version_check.NEWEST
    assert sys.version_info[:2] >= version_check.OLDEST


def test_changed_versions_name_what_differs_from_the_lock() -> None:
    locked = newest.locked_versions("PyYAML==6.0.3 \\\n    --hash=sha256:0\ntrio==0.35.0\n")
    assert locked == {"pyyaml": "6.0.3", "trio": "0.35.0"}
    now = {"pyyaml": "6.0.4", "trio": "0.35.0", "zipp": "4"}
    assert newest.changed_versions(locked, now) == [("pyyaml", "6.0.3", "6.0.4"), ("zipp", "", "4")]


def test_pins_of_other_versions_of_python_are_left_out() -> None:
    lock = (
        "numpy==1.0 ; python_full_version < '3.0' \\\n    --hash=sha256:0\n"
        "numpy==2.0 ; python_full_version >= '3.0' \\\n    --hash=sha256:0\n"
        "numpy==3.0 ; python_full_version >= '9.0' \\\n    --hash=sha256:0\n"
    )
    assert newest.locked_versions(lock) == {"numpy": "2.0"}


def test_failed_tests_are_read_from_what_pytest_prints() -> None:
    output = "..F\nFAILED tests/a.py::test_b[x-1] - assert 0\nERROR tests/c.py\n1 failed\n"
    assert newest.failed_tests(output) == ["tests/a.py::test_b[x-1]", "tests/c.py"]
