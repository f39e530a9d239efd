"""ClusterRole aggregation: a role that is made of others holds the rules of all that it selects.

Source: documentation of RBAC authorization, "Aggregated ClusterRoles". The rules of the selected
roles follow one another in the order of the roles' names, each rule once.
"""

from __future__ import annotations

from k8sactors.api import selectors
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object

CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"


class ClusterRoleAggregation(Controller):
    """Reconciles ClusterRoles that have an aggregation rule."""

    name = "clusterrole-aggregation-controller"
    aliases = ("clusterrole-aggregation",)

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._roles = self.informer(CLUSTER_ROLES)
        self._roles.add_handler(
            on_add=lambda _role: self._look_at_all(),
            on_update=lambda _old, _new: self._look_at_all(),
            on_delete=lambda _role: self._look_at_all(),
        )

    def _look_at_all(self) -> None:
        """Any role may be part of any other."""
        for role in self._roles.lister.list():
            if role.get("aggregationRule"):
                self.queue.add(role["metadata"]["name"])

    async def reconcile(self, key: str) -> None:
        """Write the rules of one role, if they are not what they should be."""
        role = self._roles.lister.get(None, key)
        if role is None or not role.get("aggregationRule"):
            return
        rules = self._rules(role)
        if rules != (role.get("rules") or []):
            await self.client.patch(CLUSTER_ROLES, key, {"rules": rules})

    def _rules(self, role: Object) -> list[Object]:
        wanted = [
            selectors.parse_label_selector(selector)
            for selector in role["aggregationRule"].get("clusterRoleSelectors") or ()
        ]
        rules: list[Object] = []
        for each in sorted(
            self._roles.lister.list(), key=lambda each: str(each["metadata"]["name"])
        ):
            metadata = each["metadata"]
            labels = metadata.get("labels") or {}
            if metadata["name"] == role["metadata"]["name"]:
                continue
            if any(selector.matches(labels) for selector in wanted):
                rules.extend(rule for rule in each.get("rules") or () if rule not in rules)
        return rules
