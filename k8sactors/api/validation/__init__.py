"""Semantic rules: may this object exist, and may that one become this one?

Objects come here defaulted and of the right form (`schema`). Every function adds to a list of
causes, in the order in which the server reports them, so that an author sees all mistakes at
once. Rules that need other objects (quota, allocation, references) are admission's or the
registry's matter. Source: the API reference and what a real API server answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.api.errors import Cause
from k8sactors.api.scheme import ResourceInfo
from k8sactors.api.validation import cluster, config, network, pod, storage, workloads
from k8sactors.api.validation.metadata import check_metadata, check_metadata_update

__all__ = ["validate_create", "validate_update"]

_Check = Callable[[dict[str, Any], list[Cause]], None]
_UpdateCheck = Callable[[dict[str, Any], dict[str, Any], list[Cause]], None]


def _check_pod_template(obj: dict[str, Any], causes: list[Cause]) -> None:
    pod.check_template(obj.get("template") or {}, "template", causes)


_CHECKS: dict[str, _Check] = {
    "pods": pod.check_pod,
    "podtemplates": _check_pod_template,
    "deployments.apps": workloads.check_deployment,
    "replicasets.apps": workloads.check_replica_set,
    "statefulsets.apps": workloads.check_stateful_set,
    "daemonsets.apps": workloads.check_daemon_set,
    "replicationcontrollers": workloads.check_replication_controller,
    "jobs.batch": workloads.check_job,
    "cronjobs.batch": workloads.check_cron_job,
    "horizontalpodautoscalers.autoscaling": workloads.check_autoscaler,
    "poddisruptionbudgets.policy": workloads.check_disruption_budget,
    "services": network.check_service,
    "endpoints": network.check_endpoints,
    "endpointslices.discovery.k8s.io": network.check_endpoint_slice,
    "ingresses.networking.k8s.io": network.check_ingress,
    "networkpolicies.networking.k8s.io": network.check_network_policy,
    "persistentvolumes": storage.check_persistent_volume,
    "persistentvolumeclaims": storage.check_claim,
    "storageclasses.storage.k8s.io": storage.check_storage_class,
    "volumeattachments.storage.k8s.io": storage.check_volume_attachment,
    "configmaps": config.check_config_map,
    "secrets": config.check_secret,
    "nodes": cluster.check_node,
    "leases.coordination.k8s.io": cluster.check_lease,
    "resourcequotas": cluster.check_resource_quota,
    "limitranges": cluster.check_limit_range,
    "priorityclasses.scheduling.k8s.io": cluster.check_priority_class,
    "runtimeclasses.node.k8s.io": cluster.check_runtime_class,
    "roles.rbac.authorization.k8s.io": cluster.check_role,
    "clusterroles.rbac.authorization.k8s.io": cluster.check_role,
    "rolebindings.rbac.authorization.k8s.io": cluster.check_role_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": cluster.check_role_binding,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": cluster.check_webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": cluster.check_webhooks,
}

_UPDATE_CHECKS: dict[str, _UpdateCheck] = {
    "pods": pod.check_pod_update,
    "deployments.apps": workloads.check_selector_update,
    "replicasets.apps": workloads.check_selector_update,
    "daemonsets.apps": workloads.check_selector_update,
    "statefulsets.apps": workloads.check_stateful_set_update,
    "jobs.batch": workloads.check_job_update,
    "services": network.check_service_update,
    "endpointslices.discovery.k8s.io": network.check_endpoint_slice_update,
    "persistentvolumes": storage.check_persistent_volume_update,
    "persistentvolumeclaims": storage.check_claim_update,
    "storageclasses.storage.k8s.io": storage.check_storage_class_update,
    "configmaps": config.check_config_map_update,
    "secrets": config.check_secret_update,
    "nodes": cluster.check_node_update,
    "resourcequotas": cluster.check_resource_quota_update,
    "priorityclasses.scheduling.k8s.io": cluster.check_priority_class_update,
    "runtimeclasses.node.k8s.io": cluster.check_runtime_class_update,
    "rolebindings.rbac.authorization.k8s.io": cluster.check_role_binding_update,
    "clusterrolebindings.rbac.authorization.k8s.io": cluster.check_role_binding_update,
}


def validate_create(info: ResourceInfo, obj: dict[str, Any]) -> list[Cause]:
    """Why this new (defaulted) object is refused; empty when it is not."""
    causes: list[Cause] = []
    check_metadata(info, obj, causes)
    check = _CHECKS.get(info.name)
    if check is not None:
        check(obj, causes)
    return causes


def validate_update(
    info: ResourceInfo, old: dict[str, Any], new: dict[str, Any], *, subresource: str = ""
) -> list[Cause]:
    """Why `old` may not become `new` (defaulted).

    With `subresource="status"` only metadata is looked at: the rest of the object is the old one.
    Binding goes through its own subresource, not through here.
    """
    causes: list[Cause] = []
    if new.get("metadata") != old.get("metadata"):
        check_metadata(info, new, causes)
        check_metadata_update(old, new, causes)
    if subresource:
        return causes
    if old.get("spec") is None or old.get("spec") != new.get("spec"):
        check = _CHECKS.get(info.name)
        if check is not None:
            check(new, causes)
    check_update = _UPDATE_CHECKS.get(info.name)
    if check_update is not None:
        check_update(old, new, causes)
    return causes
