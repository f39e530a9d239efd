"""The recorded cases, the code that brings a watch log into their form, and where they stand.

They live outside of the project, next to it; without them these tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from k8sactors.api import scheme

Object = dict[str, Any]

CONTROLLERS = Path(__file__).parents[2].resolve().parent / "shared" / "golden" / "controllers"
KINDS: dict[str, scheme.ResourceInfo] = {}
for _info in scheme.builtin().resources():
    KINDS.setdefault(_info.kind, _info)
WATCHED = (
    "Pod",
    "Service",
    "Endpoints",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "ReplicationController",
    "Node",
    "Namespace",
    "Event",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "ControllerRevision",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "EndpointSlice",
    "ResourceQuota",
    "LimitRange",
    "Ingress",
    "Job",
    "CronJob",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
)


def present() -> bool:
    """Whether the recordings are there."""
    return (CONTROLLERS / "normalise.py").is_file()


def missing() -> str:
    """Why nothing can be compared."""
    return f"{CONTROLLERS} is not there: nothing recorded to compare with"


def names() -> list[str]:
    """All recorded cases."""
    return sorted(path.stem for path in (CONTROLLERS / "cases").glob("*.yaml"))


def case(name: str) -> Object:
    """The input of a case."""
    loaded: Object = yaml.safe_load((CONTROLLERS / "cases" / f"{name}.yaml").read_text())
    # Keys and values as JSON has them: YAML 1.1 reads `no` as a boolean, even as a key.
    return {**json.loads(json.dumps(loaded)), "name": name}


def recorded(name: str) -> Object:
    """What happened in the real control plane."""
    loaded: Object = json.loads((CONTROLLERS / "recorded" / f"{name}.json").read_text())
    return loaded


@cache
def normal_form() -> ModuleType:
    """The module with which the recordings were made."""
    spec = importlib.util.spec_from_file_location("normalise", CONTROLLERS / "normalise.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
