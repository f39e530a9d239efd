"""One request through the data plane of the simulated cluster, and every hop of its way."""

from typing import Any

import attrs

from k8sactors.actors import ActorError
from k8sactors.api.errors import StatusError
from k8sactors.node.kernel_messages import ProbeRequest
from k8sactors.node.probe import probe as send_probe
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.world import World


@attrs.frozen
class Answer:
    """What came of a request.

    Attributes:
        ok: whether somebody answered.
        error: why not.
        hops: one line each.
        text: who answered, and what.
    """

    ok: bool
    error: str
    hops: tuple[str, ...]
    text: str


async def ask(world: World, source: str, destination: str, port: int | None) -> Answer:
    """Send a request from `any-node`, `node/<name>` or `pod/<ns>/<name>` to a destination.

    Raises:
        StepError: the source or the destination does not exist.
    """
    node, pod = await _source(world, source)
    request = ProbeRequest(
        target=await _target(world, destination), port=port or 0, source=pod, namespace=""
    )
    try:
        result = await send_probe(world.client.ctx, node, request)
    except ActorError as error:
        return Answer(ok=False, error=f"node {node} does not respond: {error}", hops=(), text="")
    text = " ".join(str(part) for part in result.answer or () if part)
    return Answer(result.ok, result.error, tuple(map(_hop, result.hops)), text)


def _hop(hop: dict[str, Any]) -> str:
    parts = [str(hop.get(key) or "") for key in ("hop", "node", "address", "detail")]
    return " ".join(part for part in parts if part)


async def _source(world: World, source: str) -> tuple[str, str]:
    """The node where the request starts, and the pod as `namespace/name` ("" for the node)."""
    if source == "any-node":
        for name in world.spec.worker_names:
            if name in world.hosts and world.hosts[name].up and not world.hosts[name].paused:
                return name, ""
        raise StepError("no worker is up")
    kind, _, name = source.partition("/")
    if kind == "node":
        if name not in world.hosts:
            raise StepError(f"there is no node {name}")
        return name, ""
    pod = await _pod(world, name)
    return str(pod["spec"]["nodeName"]), f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


async def _target(world: World, destination: str) -> str:
    kind, _, rest = destination.partition("/")
    if kind == "service":
        namespace, _, name = rest.partition("/")
        return f"{name}.{namespace}"
    if kind == "pod":
        pod = await _pod(world, rest)
        return str(pod["status"]["podIP"])
    return destination


async def _pod(world: World, name: str) -> dict[str, Any]:
    """The pod of that name, or the first that is ready and whose name begins with it."""
    namespace, _, prefix = name.partition("/")
    try:
        pods = (await world.client.request("list", "pods", namespace=namespace))["items"]
    except StatusError as error:
        raise StepError(f"cannot list the pods of {namespace}: {error}") from error
    for pod in sorted(pods, key=lambda each: str(each["metadata"]["name"])):
        found: str = pod["metadata"]["name"]
        running = pod.get("status", {}).get("podIP") and pod.get("spec", {}).get("nodeName")
        if running and (found == prefix or found.startswith(f"{prefix}-")):
            return dict(pod)
    raise StepError(f"no pod {prefix} runs in namespace {namespace}")
