"""Defaults of pods and pod templates (API reference of PodSpec and Container).

A pod is defaulted ten thousand times a second, so its path is written out: look, copy once, set.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from k8sactors.api.defaulting.fields import (
    Fields,
    each,
    fill,
    inside,
    inside_or_new,
)

_SPEC: Fields = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "securityContext": {},
}
_CONTAINER: Fields = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
_PROBE: Fields = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
_HTTP: Fields = {"path": "/", "scheme": "HTTP"}
_PROTOCOL: Fields = {"protocol": "TCP"}
_MODE: Fields = {"defaultMode": 0o644}
_FIELD_REF: Fields = {"apiVersion": "v1"}
_TOKEN: Fields = {"expirationSeconds": 3600}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")


@lru_cache(maxsize=1024)
def pull_policy(image: str) -> str:
    """`Always` for a latest or absent tag, `IfNotPresent` for any other tag or a digest."""
    name, digest, _ = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return "Always" if tag == "latest" or not (colon or digest) else "IfNotPresent"


def _http_get(action: Fields) -> Fields:
    return fill(action, _HTTP)


def _probe(probe: Fields) -> Fields:
    filled = inside(fill(probe, _PROBE), "httpGet", _http_get)
    return inside(filled, "grpc", lambda grpc: fill(grpc, {"service": ""}))


def _hook(handler: Fields) -> Fields:
    return inside(handler, "httpGet", _http_get)


def _lifecycle(lifecycle: Fields) -> Fields:
    return inside(inside(lifecycle, "postStart", _hook), "preStop", _hook)


def _port(port: Fields) -> Fields:
    return port if port.get("protocol") else {**port, "protocol": "TCP"}


def _env(variable: Fields) -> Fields:
    source = variable.get("valueFrom")
    if not source or "fieldRef" not in source:
        return variable
    return inside(
        variable,
        "valueFrom",
        lambda origin: inside(origin, "fieldRef", lambda ref: fill(ref, _FIELD_REF)),
    )


def _requests_from_limits(resources: Fields) -> Fields:
    limits = resources.get("limits")
    if not limits:
        return resources
    requests = resources.get("requests") or {}
    filled = fill(requests, limits)
    return resources if filled is requests else {**resources, "requests": filled}


def _container(container: Fields, *, requests_from_limits: bool) -> Fields:
    filled = container.copy()
    for key, value in _CONTAINER.items():
        if filled.get(key) is None:
            filled[key] = value
    if not filled.get("imagePullPolicy"):
        filled["imagePullPolicy"] = pull_policy(filled.get("image") or "")
    if requests_from_limits and filled["resources"]:
        filled["resources"] = _requests_from_limits(filled["resources"])
    if "ports" in filled:
        filled = each(filled, "ports", _port)
    if "env" in filled:
        filled = each(filled, "env", _env)
    for name in _PROBES:
        if name in filled:
            filled = inside(filled, name, _probe)
    if "lifecycle" in filled:
        filled = inside(filled, "lifecycle", _lifecycle)
    return filled


def _downward_item(item: Fields) -> Fields:
    return inside(item, "fieldRef", lambda ref: fill(ref, _FIELD_REF))


def _downward(source: Fields) -> Fields:
    return each(fill(source, _MODE), "items", _downward_item)


def _projection(source: Fields) -> Fields:
    source = inside(source, "serviceAccountToken", lambda token: fill(token, _TOKEN))
    return inside(source, "downwardAPI", lambda downward: each(downward, "items", _downward_item))


def _volume(volume: Fields) -> Fields:
    if len(volume) < 2:  # noqa: PLR2004 - a name alone: the source is an empty directory
        return {**volume, "emptyDir": {}}
    volume = inside(volume, "secret", lambda source: fill(source, _MODE))
    volume = inside(volume, "configMap", lambda source: fill(source, _MODE))
    volume = inside(volume, "downwardAPI", _downward)
    volume = inside(volume, "hostPath", lambda source: fill(source, {"type": ""}))
    volume = inside(volume, "ephemeral", _ephemeral)
    return inside(
        volume, "projected", lambda source: each(fill(source, _MODE), "sources", _projection)
    )


def _ephemeral(source: Fields) -> Fields:
    return inside(
        source,
        "volumeClaimTemplate",
        lambda claim: inside(claim, "spec", lambda spec: fill(spec, {"volumeMode": "Filesystem"})),
    )


def default_pod_spec(spec: Fields, *, requests_from_limits: bool = False) -> Fields:
    """The spec with all defaults that pods and pod templates have in common."""
    filled = spec.copy()
    for key, value in _SPEC.items():
        if filled.get(key) is None:
            filled[key] = value
    for name in _CONTAINER_LISTS:
        containers = filled.get(name)
        if containers:
            filled[name] = [
                _container(container, requests_from_limits=requests_from_limits)
                for container in containers
            ]
    account = filled.get("serviceAccountName") or filled.get("serviceAccount")
    if account:
        filled["serviceAccountName"] = filled["serviceAccount"] = account
    return each(filled, "volumes", _volume) if "volumes" in filled else filled


def _host_port(port: Fields) -> Fields:
    return port if port.get("hostPort") else {**port, "hostPort": port.get("containerPort")}


def default_pod(pod: Fields) -> Fields:
    """A Pod: besides the template's defaults, requests follow limits and host ports the network."""
    filled = default_pod_spec(pod.get("spec") or {}, requests_from_limits=True)
    if filled.get("enableServiceLinks") is None:
        filled["enableServiceLinks"] = True
    if filled.get("hostNetwork"):
        for name in ("containers", "initContainers"):
            filled = each(filled, name, lambda container: each(container, "ports", _host_port))
    return {**pod, "spec": filled}


def default_template(template: Fields) -> Fields:
    """The pod template of a workload."""
    template = fill(template, {"metadata": {}})
    return inside_or_new(template, "spec", default_pod_spec)


def default_pod_template_object(obj: Fields) -> Fields:
    """A PodTemplate."""
    return inside(obj, "template", default_template)


def qos_class(pod: Fields) -> str:
    """Guaranteed, Burstable or BestEffort, from the (defaulted) requests and limits."""
    spec: dict[str, Any] = pod["spec"]
    guaranteed = True
    any_set = False
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            resources = container.get("resources") or {}
            limits = resources.get("limits") or {}
            requests = resources.get("requests") or {}
            any_set = any_set or any(key in limits or key in requests for key in ("cpu", "memory"))
            for key in ("cpu", "memory"):
                limit = limits.get(key)
                if limit is None or requests.get(key, limit) != limit:
                    guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
