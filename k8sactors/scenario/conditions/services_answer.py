"""Every Service that selects pods answers a request from inside the cluster."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Flag, Struct, Text, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context, Object
from k8sactors.scenario.probing import ask


@attrs.define
class ServicesAnswer:
    """Every Service that selects pods answers a request from inside the cluster."""

    namespace: str | None = setting(Text(), "only in this namespace", default=None)
    if_any: bool = setting(
        Flag(),
        "it also holds while no Service selects a pod that there is; for applications of any form",
        default=False,
    )


async def _missing(wanted: ServicesAnswer, context: Context) -> str | None:
    services = [
        each
        for each in await context.list("services", wanted.namespace)
        if each.get("spec", {}).get("selector")
    ]
    if wanted.if_any:
        pods = await context.list("pods", wanted.namespace)
        services = [each for each in services if any(_selects(each, pod) for pod in pods)]
        if not services:
            return None
    if not services:
        return "there is no Service that selects pods"
    silent = []
    for service in services:
        metadata = service["metadata"]
        place = f"service/{metadata['namespace']}/{metadata['name']}"
        answer = await ask(context.cluster, "any-node", place, None)
        if not answer.ok:
            silent.append(f"{place}: {answer.error}")
    if not silent:
        context.facts[f"{len(services)} Services answer"] = None
        return None
    return f"{len(services) - len(silent)} of {len(services)} Services answer; {silent[0]}"


def _selects(service: Object, pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    same = service["metadata"]["namespace"] == pod["metadata"]["namespace"]
    selector: dict[str, str] = service["spec"]["selector"]
    return same and selector.items() <= labels.items()


CONDITION = ConditionKind(
    verb="servicesAnswer",
    about="every Service that selects pods answers; with `ifAny` also where there is none",
    settings=Struct(ServicesAnswer),
    missing=_missing,
)
