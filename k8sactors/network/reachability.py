"""Whether a pod, or a host, reaches a Service: one connection attempt from a node."""

from __future__ import annotations

from k8sactors.actors import Context
from k8sactors.network import kernel_messages as kernel
from k8sactors.network.kernel_messages import ProbeRequest, ProbeResult
from k8sactors.simulation import SECOND

# The kernel's own timeout comes first; this one is for a node that does not answer at all.
_MARGIN_NS = SECOND


async def probe_reachability(ctx: Context, node: str, request: ProbeRequest) -> ProbeResult:
    """Try a connection from a node, or from one of its pods.

    Args:
        ctx: context of the asking actor.
        node: the host where the connection starts.
        request: source and target.

    Raises:
        ActorError: the node itself cannot be asked.
    """
    connection = ctx.connect(f"{node}/dataplane")
    try:
        reply = await connection.ask(
            kernel.PROBE, request.to_wire(), timeout_ns=request.timeout_ns + _MARGIN_NS
        )
    finally:
        connection.close()
    return ProbeResult.from_wire(reply.payload)
