"""Defaults and refusals as a real API server gave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k8sactors.api import decoding, manifest, patch, scheme, validation

_SHARED = Path(__file__).parents[2] / ".." / "shared"
APPS = _SHARED / "apps"


def cases(area: str) -> list[dict[str, Any]]:
    path = _SHARED / "golden" / "api" / "transcripts" / f"{area}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there", allow_module_level=True)
    found: list[dict[str, Any]] = json.loads(path.read_text())["cases"]
    return found


SCHEME = scheme.builtin()


def _defaulted(obj: dict[str, Any]) -> dict[str, Any]:
    info = SCHEME.kind(obj["apiVersion"], obj["kind"])
    return decoding.complete(info, obj)


# Filled in by admission, allocation or the strategy of the kind, not by defaulting.
_ELSEWHERE = {"pod-service-account", "pod-token-volume", "pod-image-pull-secrets"}
_ELSEWHERE |= {"job-generated-selector"}
_NOT_DEFAULTED = {"status", "metadata", "clusterIP", "clusterIPs", "nodePort"}


def _current(value: Any) -> Any:
    text = json.dumps(value)
    for token, current in (("$cron", "v1"), ("$policy", "v1"), ("$run", "r")):
        text = text.replace(token, current)
    return json.loads(text)


def _missing(expected: Any, actual: Any, path: str = "") -> list[str]:
    if isinstance(expected, str) and expected[:1] in {"<", "$"}:
        return [path] if expected == "<absent>" and actual is not None else []
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            line
            for key, value in expected.items()
            if key not in _NOT_DEFAULTED
            for line in _missing(value, actual.get(key), f"{path}.{key}")
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [line for n, (e, a) in pairs for line in _missing(e, a, f"{path}[{n}]")]
    return [] if expected == actual else [f"{path}: expected {expected}, got {actual}"]


def _named(area: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases(area)]


@pytest.mark.covers("AP-05")
@pytest.mark.parametrize("case", _named("defaulting"))
def test_defaults_are_those_of_the_real_server(case: dict[str, Any]) -> None:
    if case["name"] in _ELSEWHERE:
        pytest.skip("filled in by admission or by the kind's strategy")
    for step in case["steps"]:
        request, response = step["request"], _current(step["response"])
        if request["method"] == "POST" and response["code"] == 201 and "body" in response:
            body = _current(request["body"])
            info = SCHEME.kind(body["apiVersion"], body["kind"])
            got = decoding.from_storage(info, _defaulted(body))
            assert _missing(response["body"], got) == []


def _after(old: dict[str, Any], change: Any) -> dict[str, Any]:
    if isinstance(change, list):
        return _defaulted(patch.json_patch(old, change))
    return _defaulted(patch.strategic_merge(old, change))


@pytest.mark.covers("AP-04")
@pytest.mark.parametrize("case", _named("validation"))
def test_refusals_are_those_of_the_real_server(case: dict[str, Any]) -> None:
    old: dict[str, Any] = {}
    for step in case["steps"]:
        body, response = _current(step["request"]["body"]), step["response"]
        if step["request"]["method"] == "POST":
            obj = _defaulted(body)
            info = SCHEME.kind(obj["apiVersion"], obj["kind"])
            causes = validation.validate_create(info, obj)
        else:
            obj = _after(old, body)
            info = SCHEME.kind(obj["apiVersion"], obj["kind"])
            causes = validation.validate_update(info, old, obj)
        assert (response["code"] >= 400) == bool(causes), causes
        if not causes:
            old = obj
            continue
        expected = {
            (cause["field"], cause["reason"])
            for cause in response["body"]["details"].get("causes", [])
        }
        got = {(cause.field, cause.reason) for cause in causes}
        assert not expected or expected == got


@pytest.mark.parametrize("name", ["guestbook.yaml", "online-boutique.yaml"])
def test_applications_that_others_wrote_are_accepted(name: str) -> None:
    path = APPS / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    found = manifest.load(path.read_text(), name)
    assert found
    for entry in found:
        obj = _defaulted(entry.obj)
        info = SCHEME.kind(obj["apiVersion"], obj["kind"])
        assert validation.validate_create(info, obj) == []


@pytest.mark.parametrize(
    "case", [case for case in _named("patch") if str(case.id).startswith("strategic-")]
)
def test_strategic_merges_are_those_of_the_real_server(case: dict[str, Any]) -> None:
    old: dict[str, Any] = {}
    for step in case["steps"]:
        body, response = step["request"].get("body"), step["response"]
        if step["request"]["method"] == "POST":
            old = _defaulted(body)
        elif response["code"] < 400 and isinstance(body, dict):
            old = _after(old, body)
            assert _missing(response.get("body", {}), old) == []
