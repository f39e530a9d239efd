"""What the steps of a run share: the cluster, and what earlier steps saved for later ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from k8sactors.cluster import Cluster
from k8sactors.faults import Strike
from k8sactors.scenario.parsed import Step
from k8sactors.scenario.roles import Roles

Object = dict[str, Any]


@attrs.define
class Context:
    """One run of one scenario."""

    cluster: Cluster
    # Objects of each file that an apply step names.
    manifests: Mapping[str, Sequence[Object]]
    # Objects given on the command line.
    extra: Sequence[Object]
    # Does a step inside another one, and tells whether it passed.
    run_step: Callable[[Step], Awaitable[bool]]
    roles: Roles = attrs.field(init=False)
    # Objects that get steps saved.
    objects: dict[str, Object] = attrs.field(factory=dict)
    # How the causes of crashes begin that faults are to bring about.
    crash_causes: dict[str, None] = attrs.field(factory=dict)
    # Faults that inject steps saved, by name.
    strikes: dict[str, list[Strike]] = attrs.field(factory=dict)
    # All faults that were injected.
    all_strikes: list[Strike] = attrs.field(factory=list)
    # What conditions found, for the report.
    facts: dict[str, None] = attrs.field(factory=dict)
    # What an expectation still lacks.
    waiting_for: str = ""

    def __attrs_post_init__(self) -> None:
        """Roles are those of the cluster."""
        self.roles = Roles(self.cluster)

    async def list(
        self, resource: str, namespace: str | None = None, labels: str | None = None
    ) -> list[Object]:
        """All objects of a resource, as a person names it."""
        options = {"labelSelector": labels} if labels else {}
        name = self.cluster.scheme.lookup(resource).name
        answer = await self.cluster.client.request(
            "list", name, namespace=namespace, options=options
        )
        items: list[Object] = answer["items"]
        return items

    async def get(self, resource: str, namespace: str | None, name: str) -> Object:
        """One object; the namespace is `default` unless given."""
        info = self.cluster.scheme.lookup(resource)
        place = (namespace or "default") if info.namespaced else None
        return await self.cluster.client.request("get", info.name, namespace=place, name=name)
