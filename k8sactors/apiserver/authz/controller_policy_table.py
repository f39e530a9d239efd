"""The roles of the controllers, each of which is its own ServiceAccount; see `policy_table`.

The role of `X` is `system:controller:X`, and is bound to the account `kube-system/X`.
"""

from __future__ import annotations

from typing import Final

from k8sactors.apiserver.authz.policy_table import EVENTS, Lines

CONTROLLER_ROLES: Final[dict[str, Lines]] = {
    "attachdetach-controller": (
        "list,watch core persistentvolumes,persistentvolumeclaims",
        "get,list,watch core nodes",
        "patch,update core nodes/status",
        "list,watch core pods",
        EVENTS,
        "get,create,delete,list,watch storage.k8s.io volumeattachments",
        "READ storage.k8s.io csidrivers",
        "READ storage.k8s.io csinodes",
    ),
    "clusterrole-aggregation-controller": (
        "escalate,get,list,watch,update,patch rbac.authorization.k8s.io clusterroles",
    ),
    "cronjob-controller": (
        "get,list,watch,update batch cronjobs",
        "get,list,watch,create,update,delete,patch batch jobs",
        "update batch cronjobs/status",
        "update batch cronjobs/finalizers",
        "list,watch,delete core pods",
        EVENTS,
    ),
    "daemon-set-controller": (
        "get,list,watch extensions,apps daemonsets",
        "update extensions,apps daemonsets/status",
        "update extensions,apps daemonsets/finalizers",
        "list,watch core nodes",
        "list,watch,create,delete,patch core pods",
        "create core pods/binding",
        "get,list,watch,create,delete,update,patch apps controllerrevisions",
        EVENTS,
    ),
    "deployment-controller": (
        "get,list,watch,update extensions,apps deployments",
        "update extensions,apps deployments/status",
        "update extensions,apps deployments/finalizers",
        "get,list,watch,create,update,patch,delete apps,extensions replicasets",
        "get,list,watch,update core pods",
        EVENTS,
    ),
    "device-taint-eviction-controller": (
        "get,list,watch,delete core pods",
        "update,patch core pods/status",
        "READ resource.k8s.io resourceclaims",
        "READ resource.k8s.io resourceslices",
        "READ resource.k8s.io deviceclasses",
        "READ resource.k8s.io devicetaintrules",
        EVENTS,
    ),
    "disruption-controller": (
        "READ extensions,apps deployments",
        "READ apps,extensions replicasets",
        "READ core replicationcontrollers",
        "READ policy poddisruptionbudgets",
        "READ apps statefulsets",
        "update policy poddisruptionbudgets/status",
        "patch,update core pods/status",
        "get * */scale",
        EVENTS,
    ),
    "endpoint-controller": (
        "READ core services,pods",
        "get,list,watch,create,update,delete core endpoints",
        "create core endpoints/restricted",
        EVENTS,
    ),
    "endpointslice-controller": (
        "READ core services,pods,nodes",
        "update core services/finalizers",
        "get,list,watch,create,update,delete discovery.k8s.io endpointslices",
        EVENTS,
    ),
    "endpointslicemirroring-controller": (
        "READ core services,endpoints",
        "update core services/finalizers",
        "update core endpoints/finalizers",
        "get,list,watch,create,update,delete discovery.k8s.io endpointslices",
        EVENTS,
    ),
    "expand-controller": (
        "get,list,watch,update,patch core persistentvolumes",
        "update,patch core persistentvolumeclaims/status",
        "READ core persistentvolumeclaims",
        EVENTS,
        "get core services",
    ),
    "ephemeral-volume-controller": (
        "READ core pods",
        "update core pods/finalizers",
        "get,list,watch,create core persistentvolumeclaims",
        EVENTS,
    ),
    "resource-claim-controller": (
        "READ core pods",
        "update core pods/finalizers",
        "get,list,watch,create,delete resource.k8s.io resourceclaims",
        "update,patch resource.k8s.io resourceclaims,resourceclaims/status",
        "update,patch core pods/status",
        EVENTS,
    ),
    "generic-garbage-collector": ("get,list,watch,patch,update,delete * *", EVENTS),
    "horizontal-pod-autoscaler": (
        "READ autoscaling horizontalpodautoscalers",
        "update autoscaling horizontalpodautoscalers/status",
        "get,update * */scale",
        "list,watch core pods",
        "list,watch metrics.k8s.io pods",
        "READ custom.metrics.k8s.io *",
        "READ external.metrics.k8s.io *",
        EVENTS,
    ),
    "job-controller": (
        "get,list,watch,update,patch batch jobs",
        "update batch jobs/status",
        "update batch jobs/finalizers",
        "list,watch,create,delete,patch core pods",
        EVENTS,
    ),
    "namespace-controller": (
        "get,list,watch,delete core namespaces",
        "update core namespaces/finalize,namespaces/status",
        "get,list,watch,delete,deletecollection * *",
    ),
    "node-controller": (
        "get,list,watch,update,delete,patch core nodes",
        "patch,update core nodes/status",
        "patch,update core pods/status",
        "list,watch,get,delete core pods",
        EVENTS,
    ),
    "persistent-volume-binder": (
        "get,list,watch,update,create,delete core persistentvolumes",
        "update core persistentvolumes/status",
        "get,list,watch,update core persistentvolumeclaims",
        "update core persistentvolumeclaims/status",
        "list,watch,get,create,delete core pods",
        "READ storage.k8s.io storageclasses",
        "list,watch core nodes",
        EVENTS,
        "watch core events",
        "get core services",
    ),
    "pod-garbage-collector": (
        "list,watch,delete core pods",
        "get,list,watch core nodes",
        "patch core pods/status",
    ),
    "replicaset-controller": (
        "get,list,watch,update apps,extensions replicasets",
        "update apps,extensions replicasets/status",
        "update apps,extensions replicasets/finalizers",
        "list,watch,patch,create,delete core pods",
        EVENTS,
    ),
    "replication-controller": (
        "get,list,watch,update core replicationcontrollers",
        "update core replicationcontrollers/status",
        "update core replicationcontrollers/finalizers",
        "list,watch,patch,create,delete core pods",
        EVENTS,
    ),
    "resourcequota-controller": (
        "list,watch * *",
        "update core resourcequotas/status",
        EVENTS,
    ),
    "route-controller": ("list,watch core nodes", "patch core nodes/status", EVENTS),
    "service-account-controller": ("create core serviceaccounts", EVENTS),
    "service-controller": (
        "READ core services",
        "patch,update core services/status",
        "list,watch core nodes",
        EVENTS,
    ),
    "service-cidrs-controller": (
        "get,list,watch,patch,update networking.k8s.io servicecidrs",
        "patch,update networking.k8s.io servicecidrs/finalizers",
        "patch,update networking.k8s.io servicecidrs/status",
        "READ networking.k8s.io ipaddresses",
        EVENTS,
    ),
    "statefulset-controller": (
        "list,watch core pods",
        "READ apps statefulsets",
        "update apps statefulsets/status",
        "update apps statefulsets/finalizers",
        "get,create,delete,update,patch core pods",
        "get,create,delete,update,patch,list,watch apps controllerrevisions",
        "get,create,list,watch core persistentvolumeclaims",
        "update,delete core persistentvolumeclaims",
        "update core pods/finalizers",
        EVENTS,
    ),
    "ttl-controller": ("update,patch,list,watch core nodes", EVENTS),
    "certificate-controller": (
        "get,list,watch,delete certificates.k8s.io certificatesigningrequests",
        (
            "update certificates.k8s.io certificatesigningrequests/status,"
            "certificatesigningrequests/approval"
        ),
        "approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet",
        (
            "sign certificates.k8s.io signers kubernetes.io/legacy-unknown,"
            "kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,"
            "kubernetes.io/kubelet-serving"
        ),
        "create authorization.k8s.io subjectaccessreviews",
        EVENTS,
    ),
    "pvc-protection-controller": (
        "get,list,watch,update core persistentvolumeclaims",
        "list,watch,get core pods",
        EVENTS,
    ),
    "pv-protection-controller": ("get,list,watch,update core persistentvolumes", EVENTS),
    "volumeattributesclass-protection-controller": (
        "READ core persistentvolumeclaims",
        "READ core persistentvolumes",
        "get,list,watch,update storage.k8s.io volumeattributesclasses",
        EVENTS,
    ),
    "ttl-after-finished-controller": ("get,list,watch,delete batch jobs", EVENTS),
    "root-ca-cert-publisher": ("create,update core configmaps", EVENTS),
    "validatingadmissionpolicy-status-controller": (
        "READ admissionregistration.k8s.io validatingadmissionpolicies",
        "get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status",
        EVENTS,
    ),
    "legacy-service-account-token-cleaner": (
        "get core configmaps kube-apiserver-legacy-service-account-token-tracking",
        "patch,delete core secrets",
    ),
    "selinux-warning-controller": (
        EVENTS,
        "READ core persistentvolumes",
        "READ core persistentvolumeclaims",
        "READ core pods",
        "READ storage.k8s.io csidrivers",
    ),
}
