"""Server-side apply over HTTP, and as `kubectl` does it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from k8sactors.gateway.front import manager_of
from tests.serve.test_serve import Api, serving

APPLY = "application/apply-patch+yaml"
MAPS = "/api/v1/namespaces/default/configmaps"
NEWEST = Path(sys.executable).parent / "kubectl"
INSTALLED = shutil.which("kubectl", path="/usr/local/bin:/usr/bin:/bin")
TIMEOUT_S = 60.0

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as served:
        yield served


def entries(obj: Any) -> dict[tuple[str, str], Any]:
    found = obj["metadata"].get("managedFields") or []
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in found}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("block", b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: block\ndata:\n  k: v\n"),
        ("flow", b"{apiVersion: v1, kind: ConfigMap, metadata: {name: flow}, data: {k: v}}"),
        ("j", b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"k":"v"}}'),
    ],
)  # fmt: skip
def test_a_configuration_is_yaml_or_json(api: Api, name: str, body: bytes) -> None:
    created = api.ask("PATCH", f"{MAPS}/{name}?fieldManager=m1", body, APPLY)
    assert created.code == 201
    assert created.body["data"] == {"k": "v"}
    assert entries(created.body) == {("m1", "Apply"): {"f:data": {"f:k": {}}}}
    again = api.ask("PATCH", f"{MAPS}/{name}?fieldManager=m1&force=true", body, APPLY)
    assert (again.code, again.body) == (200, created.body)


@pytest.mark.parametrize(
    ("query", "body", "code", "text"),
    [
        ("?fieldManager=m", b"{a: [", 400, "error decoding YAML: "),
        ("?fieldManager=m", b"a: b: c", 400, "error decoding YAML: "),
        ("?fieldManager=m", b"\xff", 400, "error decoding YAML: "),
        ("?fieldManager=m", b"- a", 400, "cannot unmarshal array into Go value"),
        ("?fieldManager=m", b"", 400, "invalid object type: /, Kind="),
        ("", b"{}", 422, "fieldManager: Required value: is required for apply patch"),
        ("?fieldManager=m&force=maybe", b"{}", 400, "force: invalid value"),
    ],
)
def test_a_malformed_configuration_is_refused(
    api: Api, query: str, body: bytes, code: int, text: str
) -> None:
    refused = api.ask("PATCH", f"{MAPS}/malformed{query}", body, APPLY)
    assert refused.code == code
    assert text in refused.body["message"]


def test_what_clients_outside_write_is_tracked_by_their_names(api: Api) -> None:
    named = {"metadata": {"name": "named"}, "data": {"k": "v"}}
    body = {"apiVersion": "v1", "kind": "ConfigMap", **named}
    headers = {"content-type": "application/json", "user-agent": "operator/v1.2 (linux) x/y"}
    with closing(api.connect()) as connection:
        connection.request("POST", MAPS, json.dumps(body).encode(), headers)
        created = json.loads(connection.getresponse().read())
    assert entries(created) == {("operator", "Update"): {"f:data": {".": {}, "f:k": {}}}}
    path = f"{MAPS}/named?fieldManager=other"
    patched = api.ask("PATCH", path, {"data": {"l": "w"}}, "application/merge-patch+json")
    assert entries(patched.body)["other", "Update"] == {"f:data": {"f:l": {}}}


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (None, "unknown"),
        (b"", "unknown"),
        (b"kubectl/v1.30 (linux/amd64) kubernetes/abc", "kubectl"),
        (b"a\x00b\tc", "abc"),
        (b"\xc3\xa4" * 100 + b"/1", "\u00e4" * 64),
    ],
)
def test_a_manager_is_named_by_the_first_part_of_its_user_agent(
    user_agent: bytes | None, expected: str
) -> None:
    assert manager_of(user_agent) == expected


MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "nginx:1", ports: [{containerPort: 80}]}
"""


@pytest.fixture(params=["newest", "installed"])
def kubectl(request: Any, api: Api, tmp_path: Path) -> Kubectl:
    program = str(NEWEST) if request.param == "newest" else INSTALLED
    if not program or not Path(program).exists():
        pytest.skip(f"the {request.param} kubectl is not there")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "--server", api.url, "--namespace", request.param, *arguments],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": request.param}}
    api.ask("POST", "/api/v1/namespaces", namespace)
    return run


def test_kubectl_applies_on_the_server_s_side(
    api: Api, kubectl: Kubectl, tmp_path: Path, request: Any
) -> None:
    namespace = request.node.callspec.params["kubectl"]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(MANIFEST)
    second.write_text(MANIFEST.replace("nginx:1", "nginx:2"))
    assert kubectl("apply", "-f", str(first)).returncode == 0
    assert entries(api.ask("GET", path).body).keys() >= {("kubectl-client-side-apply", "Update")}
    # What was applied on the client's side is taken over without a conflict.
    taken = kubectl("apply", "--server-side", "-f", str(second))
    assert (taken.returncode, taken.stdout) == (0, "deployment.apps/web serverside-applied\n")
    managers = entries(api.ask("GET", path).body)
    assert ("kubectl", "Apply") in managers
    assert ("kubectl-client-side-apply", "Update") not in managers
    differs = kubectl("diff", "--server-side", "-f", str(first))
    assert differs.returncode == 1
    assert "-      - image: nginx:2" in differs.stdout
    assert "+      - image: nginx:1" in differs.stdout
    assert kubectl("diff", "--server-side", "-f", str(second)).returncode == 0
    refused = kubectl("apply", "--server-side", "--field-manager=ci", "-f", str(first))
    assert refused.returncode == 1
    conflict = 'conflict with "kubectl": .spec.template.spec.containers[name="main"].image'
    assert f"Apply failed with 1 conflict: {conflict}" in refused.stderr
    arguments = ("apply", "--server-side", "--field-manager=ci", "--force-conflicts")
    assert kubectl(*arguments, "-f", str(first)).returncode == 0
    assert kubectl("scale", "deployment/web", "--replicas=2").returncode == 0
    obj = api.ask("GET", path).body
    assert obj["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1"
    assert obj["spec"]["replicas"] == 2
    scaled = [
        each for each in obj["metadata"]["managedFields"] if each.get("subresource") == "scale"
    ]
    assert [each["fieldsV1"] for each in scaled] == [{"f:spec": {"f:replicas": {}}}]
