"""The API accepts a write within a limit."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.client import is_not_found
from k8sactors.scenario.binding import Integer, Struct, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.simulation import MILLISECOND

_NAMESPACE = "kube-system"
_NAME = "k8sactors-writable"


@attrs.define
class Writable:
    """The API accepts a write within the given limit."""

    limit: int = setting(Integer(1), "milliseconds until it must be acknowledged", default=5000)


async def _missing(wanted: Writable, context: Context) -> str | None:
    data = {"data": {"written": str(simulation.current().now_ns())}}
    client, timeout_ns = context.cluster.client, wanted.limit * MILLISECOND
    try:
        await client.request(
            "patch",
            "configmaps",
            namespace=_NAMESPACE,
            name=_NAME,
            body=data,
            options={"patchType": "merge"},
            timeout_ns=timeout_ns,
        )
    except StatusError as error:
        if not is_not_found(error):
            raise
        metadata = {"name": _NAME, "namespace": _NAMESPACE}
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        await client.request(
            "create",
            "configmaps",
            namespace=_NAMESPACE,
            body={**body, **data},
            timeout_ns=timeout_ns,
        )
    return None


CONDITION = ConditionKind(
    verb="writable",
    about="the API acknowledges a write within so many milliseconds",
    settings=Struct(Writable),
    missing=_missing,
)
