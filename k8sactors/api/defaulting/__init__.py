"""Defaults: what the API server writes into an object where its author said nothing.

One function per kind, found by apiVersion and kind. Each takes an object and returns an object:
the same one when nothing was missing, else a new one that shares all that did not change.
Defaults that need cluster state (service account, cluster IP, tolerations, priority) are
admission's or the strategy's matter, not this package's. The values are those of the API
reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.api.defaulting import cluster, network, storage, workloads
from k8sactors.api.defaulting.pod import default_pod, default_pod_template_object, qos_class

__all__ = ["apply", "initial_status", "qos_class"]

_Defaulter = Callable[[dict[str, Any]], dict[str, Any]]
_RBAC = "rbac.authorization.k8s.io/v1"
_WEBHOOKS = "admissionregistration.k8s.io/v1"

_DEFAULTERS: dict[tuple[str, str], _Defaulter] = {
    ("v1", "Pod"): default_pod,
    ("v1", "PodTemplate"): default_pod_template_object,
    ("v1", "ReplicationController"): workloads.default_replication_controller,
    ("apps/v1", "Deployment"): workloads.default_deployment,
    ("apps/v1", "ReplicaSet"): workloads.default_replica_set,
    ("apps/v1", "StatefulSet"): workloads.default_stateful_set,
    ("apps/v1", "DaemonSet"): workloads.default_daemon_set,
    ("batch/v1", "Job"): workloads.default_job,
    ("batch/v1", "CronJob"): workloads.default_cron_job,
    ("autoscaling/v1", "HorizontalPodAutoscaler"): workloads.default_autoscaler_v1,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): workloads.default_autoscaler_v2,
    ("v1", "Service"): network.default_service,
    ("v1", "Endpoints"): network.default_endpoints,
    ("discovery.k8s.io/v1", "EndpointSlice"): network.default_endpoint_slice,
    ("networking.k8s.io/v1", "NetworkPolicy"): network.default_network_policy,
    ("networking.k8s.io/v1", "IngressClass"): network.default_ingress_class,
    ("v1", "PersistentVolume"): storage.default_persistent_volume,
    ("v1", "PersistentVolumeClaim"): storage.default_claim,
    ("storage.k8s.io/v1", "StorageClass"): storage.default_storage_class,
    ("storage.k8s.io/v1", "CSIDriver"): storage.default_csi_driver,
    ("v1", "Secret"): cluster.default_secret,
    ("v1", "Namespace"): cluster.default_namespace,
    ("v1", "Node"): cluster.default_node,
    ("v1", "LimitRange"): cluster.default_limit_range,
    ("v1", "ResourceQuota"): cluster.default_resource_quota,
    ("scheduling.k8s.io/v1", "PriorityClass"): cluster.default_priority_class,
    (_RBAC, "RoleBinding"): cluster.default_role_binding,
    (_RBAC, "ClusterRoleBinding"): cluster.default_role_binding,
    (_WEBHOOKS, "MutatingWebhookConfiguration"): cluster.default_mutating_webhooks,
    (_WEBHOOKS, "ValidatingWebhookConfiguration"): cluster.default_validating_webhooks,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): cluster.default_definition,
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"): cluster.default_flow_schema,
}

# What a freshly created object shows as its status, before any controller has seen it.
_INITIAL_STATUS: dict[tuple[str, str], dict[str, Any]] = {
    ("apps/v1", "Deployment"): {},
    ("apps/v1", "ReplicaSet"): {"replicas": 0},
    ("apps/v1", "StatefulSet"): {"replicas": 0, "availableReplicas": 0},
    ("apps/v1", "DaemonSet"): {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    ("batch/v1", "Job"): {},
    ("batch/v1", "CronJob"): {},
    ("v1", "ReplicationController"): {"replicas": 0},
    ("v1", "Service"): {"loadBalancer": {}},
    ("networking.k8s.io/v1", "Ingress"): {"loadBalancer": {}},
    ("v1", "Namespace"): {"phase": "Active"},
    ("v1", "Pod"): {"phase": "Pending"},
    ("v1", "PersistentVolume"): {"phase": "Pending"},
    ("v1", "PersistentVolumeClaim"): {"phase": "Pending"},
    ("v1", "ResourceQuota"): {},
    ("policy/v1", "PodDisruptionBudget"): {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
}


def apply(obj: dict[str, Any]) -> dict[str, Any]:
    """The object with all defaults of its kind; kinds without defaults come back as they are."""
    defaulter = _DEFAULTERS.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    return obj if defaulter is None else defaulter(obj)


def initial_status(api_version: str, kind: str) -> dict[str, Any] | None:
    """The status of a new object; None for kinds that start without one."""
    status = _INITIAL_STATUS.get((api_version, kind))
    return None if status is None else dict(status)
