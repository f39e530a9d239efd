"""Change the number of replicas."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Integer, Struct, Text, setting
from k8sactors.scenario.context import Context
from k8sactors.scenario.names import RESOURCE
from k8sactors.scenario.result import StepResult
from k8sactors.scenario.step import StepKind


@attrs.define
class Scale:
    """Change the number of replicas."""

    name: str = setting(Text(), "its name")
    replicas: int = setting(Integer(), "how many")
    resource: str = setting(RESOURCE, "the kind of object", default="deployments")
    namespace: str | None = setting(Text(), "its namespace", default=None)


async def _perform(action: Scale, context: Context, result: StepResult) -> None:
    info = context.cluster.scheme.lookup(action.resource)
    await context.cluster.client.request(
        "patch",
        info.name,
        namespace=(action.namespace or "default") if info.namespaced else None,
        name=action.name,
        body={"spec": {"replicas": action.replicas}},
        options={"patchType": "merge"},
    )
    result.detail.append(f"changed {info.singular} {action.name}")


STEP = StepKind(
    verb="scale",
    about="change the number of replicas",
    settings=Struct(Scale),
    perform=_perform,
    title=lambda action: f"Scale {action.resource} {action.name}",
)
