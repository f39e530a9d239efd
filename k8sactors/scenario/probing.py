"""One request through the data plane of the simulated cluster, and every hop of its way."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.actors import ActorError
from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster
from k8sactors.network.kernel_messages import ProbeRequest
from k8sactors.network.reachability import probe_reachability
from k8sactors.scenario.errors import StepError


@attrs.frozen
class Answer:
    """What came of a request."""

    # Whether there was an answer.
    ok: bool
    # Why not.
    error: str
    # One line each.
    hops: tuple[str, ...]
    # The pod that answered, and what.
    text: str


async def ask(cluster: Cluster, source: str, destination: str, port: int | None) -> Answer:
    """Send a request from `any-node`, `node/<name>` or `pod/<ns>/<name>` to a destination.

    Raises:
        StepError: the source or the destination does not exist.
    """
    node, pod = await _source(cluster, source)
    request = ProbeRequest(
        target=await _target(cluster, destination), port=port or 0, source=pod, namespace=""
    )
    try:
        result = await probe_reachability(cluster.client.ctx, node, request)
    except ActorError as error:
        return Answer(ok=False, error=f"node {node} does not respond: {error}", hops=(), text="")
    text = " ".join(str(part) for part in result.answer or () if part)
    return Answer(result.ok, result.error, tuple(map(_hop, result.hops)), text)


def _hop(hop: dict[str, Any]) -> str:
    parts = [str(hop.get(key) or "") for key in ("hop", "node", "address", "detail")]
    return " ".join(part for part in parts if part)


async def _source(cluster: Cluster, source: str) -> tuple[str, str]:
    """The node where the request starts, and the pod as `namespace/name` ("" for the node)."""
    if source == "any-node":
        for name in cluster.spec.worker_names:
            if name in cluster.hosts and cluster.hosts[name].up and not cluster.hosts[name].paused:
                return name, ""
        raise StepError("no worker is up")
    kind, _, name = source.partition("/")
    if kind == "node":
        if name not in cluster.hosts:
            raise StepError(f"there is no node {name}")
        return name, ""
    pod = await _pod(cluster, name)
    return str(pod["spec"]["nodeName"]), f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


async def _target(cluster: Cluster, destination: str) -> str:
    kind, _, rest = destination.partition("/")
    if kind == "service":
        namespace, _, name = rest.partition("/")
        return f"{name}.{namespace}"
    if kind == "pod":
        pod = await _pod(cluster, rest)
        return str(pod["status"]["podIP"])
    return destination


async def _pod(cluster: Cluster, name: str) -> dict[str, Any]:
    """The pod of that name, or the first that is ready and whose name begins with it."""
    namespace, _, prefix = name.partition("/")
    try:
        pods = (await cluster.client.request("list", "pods", namespace=namespace))["items"]
    except StatusError as error:
        raise StepError(f"cannot list the pods of {namespace}: {error}") from error
    for pod in sorted(pods, key=lambda each: str(each["metadata"]["name"])):
        found: str = pod["metadata"]["name"]
        running = pod.get("status", {}).get("podIP") and pod.get("spec", {}).get("nodeName")
        if running and (found == prefix or found.startswith(f"{prefix}-")):
            return dict(pod)
    raise StepError(f"no pod {prefix} runs in namespace {namespace}")
