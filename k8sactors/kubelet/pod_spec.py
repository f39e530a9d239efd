"""Questions to a pod's specification. Pure functions of the object in JSON form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8sactors.api import quantity
from k8sactors.runtime.cri import ContainerConfig

Pod = Mapping[str, Any]
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_TOKEN_VOLUME_PREFIX = "kube-api-access-"  # noqa: S105 - a volume name, not a secret


def pod_annotations(pod: Pod) -> dict[str, str]:
    """The pod's annotations, never None."""
    return pod["metadata"].get("annotations") or {}


def full_name(pod: Pod) -> str:
    """How the kubelet names a pod in messages: name_namespace(uid)."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata.get('uid', '')})"


def restart_policy(pod: Pod) -> str:
    """Always, OnFailure or Never."""
    policy: str = pod["spec"].get("restartPolicy") or "Always"
    return policy


def is_host_network(pod: Pod) -> bool:
    """Whether the pod lives in the host's network namespace."""
    return bool(pod["spec"].get("hostNetwork"))


def is_terminal(pod: Pod) -> bool:
    """Whether the pod has succeeded or failed."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def grace_period_seconds(pod: Pod) -> int:
    """How long the containers get to end after a deletion was requested."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    if asked is None:
        asked = pod["spec"].get("terminationGracePeriodSeconds")
    return 30 if asked is None else int(asked)


def _requests(container: Mapping[str, Any]) -> tuple[int, int]:
    resources = container.get("resources") or {}
    requests = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    cpu, memory = requests.get("cpu"), requests.get("memory")
    return (
        quantity.parse_cpu_milli(cpu) if cpu is not None else 0,
        quantity.parse_memory_bytes(memory) if memory is not None else 0,
    )


def resource_requests(pod: Pod) -> tuple[int, int]:
    """What the pod asks of its node: milli-CPU and bytes of memory.

    App containers and sidecars run together, init containers one after the other before them
    (KEP-753).
    """
    spec = pod["spec"]
    sidecar_cpu = sidecar_memory = peak_cpu = peak_memory = 0
    for container in spec.get("initContainers") or ():
        cpu, memory = _requests(container)
        if container.get("restartPolicy") == "Always":
            sidecar_cpu += cpu
            sidecar_memory += memory
            cpu = memory = 0
        peak_cpu = max(peak_cpu, sidecar_cpu + cpu)
        peak_memory = max(peak_memory, sidecar_memory + memory)
    total_cpu, total_memory = sidecar_cpu, sidecar_memory
    for container in spec["containers"]:
        cpu, memory = _requests(container)
        total_cpu += cpu
        total_memory += memory
    overhead_cpu, overhead_memory = _requests({"resources": {"requests": spec.get("overhead")}})
    return max(total_cpu, peak_cpu) + overhead_cpu, max(total_memory, peak_memory) + overhead_memory


def qos_class(pod: Pod) -> str:
    """Guaranteed, Burstable or BestEffort."""
    guaranteed, any_set = True, False
    for container in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]:
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        requests = {**limits, **(resources.get("requests") or {})}
        for name in ("cpu", "memory"):
            if name in requests:
                any_set = True
            if name not in limits or requests[name] != limits[name]:
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def resolve_port(container: Mapping[str, Any], port: Any) -> int:
    """A port number, by number or by the name of a container port; 0 if none has that name."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    return int(port) if isinstance(port, str) and port.isdigit() else 0


def probe_port(container: Mapping[str, Any], probe: Mapping[str, Any]) -> int:
    """The port a network probe asks, 0 for others."""
    for kind in ("httpGet", "tcpSocket", "grpc"):
        if kind in probe:
            return resolve_port(container, probe[kind].get("port"))
    return 0


def container_config(
    container: Mapping[str, Any],
    container_type: str,
    attempt: int,
    env: Mapping[str, str] | None = None,
) -> ContainerConfig:
    """The configuration for the runtime; `env` is the environment (`environment`).

    A port that a probe asks counts as listened on: the author of the probe knows the program.
    """
    ports: dict[int, None] = {}
    for declared in container.get("ports") or ():
        ports[int(declared["containerPort"])] = None
    for key in _PROBES:
        if key in container:
            ports[probe_port(container, container[key])] = None
    ports.pop(0, None)
    env_port = 0
    for variable in container.get("env") or ():
        if variable["name"] == "PORT" and str(variable.get("value", "")).isdigit():
            env_port = int(variable["value"])
    limits = (container.get("resources") or {}).get("limits") or {}
    return ContainerConfig(
        container["name"],
        attempt,
        container["image"],
        list(container.get("command") or ()),
        list(container.get("args") or ()),
        list(ports),
        container_type,
        env_port,
        quantity.parse_cpu_milli(limits["cpu"]) if "cpu" in limits else 0,
        quantity.parse_memory_bytes(limits["memory"]) if "memory" in limits else 0,
        dict(env or {}),
        container.get("workingDir") or "",
        bool(container.get("stdin")),
        bool(container.get("stdinOnce")),
        bool(container.get("tty")),
        container.get("terminationMessagePath") or "",
        container.get("terminationMessagePolicy") == "FallbackToLogsOnError",
    )


def volume_references(pod: Pod) -> Iterator[tuple[str, str, str]]:
    """What the pod's volumes need: (volume, resource, object name), optional ones left out."""
    for volume in pod["spec"].get("volumes") or ():
        name = volume["name"]
        if name.startswith(_TOKEN_VOLUME_PREFIX):
            continue
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for source in sources:
            config_map, secret = source.get("configMap"), source.get("secret")
            if config_map and not config_map.get("optional"):
                yield name, "configmaps", config_map["name"]
            if secret and not secret.get("optional"):
                yield name, "secrets", secret.get("secretName") or secret["name"]


def environment_references(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the container's environment needs: (resource, object name), optional ones left out."""
    for source in container.get("envFrom") or ():
        for key, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            reference = source.get(key)
            if reference and not reference.get("optional"):
                yield resource, reference["name"]
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        for key, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            reference = origin.get(key)
            if reference and not reference.get("optional"):
                yield resource, reference["name"]
