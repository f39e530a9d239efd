"""The roles with which a cluster begins, as a table of the real server's default policy.

A line of a role is `VERBS GROUP RESOURCES [NAMES]`, each a list with commas; `core` is the group
without a name, `url` marks a rule for paths. `READ`, `WRITE` and `ALL` stand for the usual verbs;
`EVENTS` is the rule by which components record events.
"""

from __future__ import annotations

from typing import Final

Lines = tuple[str, ...]

EVENTS: Final = "create,update,patch core,events.k8s.io events"
READ: Final = "get,list,watch"
WRITE: Final = "create,delete,deletecollection,patch,update"

_SIGNER: Final = "kubernetes.io"

NODE: Final[Lines] = (
    "create authentication.k8s.io tokenreviews",
    "create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews",
    "READ core services",
    "create,get,list,watch core nodes",
    "update,patch core nodes/status",
    "update,patch core nodes",
    EVENTS,
    "READ core pods",
    "create,delete core pods",
    "update,patch core pods/status",
    "create core pods/eviction",
    "get,list,watch core secrets,configmaps",
    "get core persistentvolumeclaims,persistentvolumes",
    "get core endpoints",
    "create,get,list,watch certificates.k8s.io certificatesigningrequests",
    "get,create,update,patch,delete coordination.k8s.io leases",
    "get storage.k8s.io volumeattachments",
    "get,update,patch core persistentvolumeclaims/status",
    "create core serviceaccounts/token",
    "get,watch,list storage.k8s.io csidrivers",
    "get,create,update,patch,delete storage.k8s.io csinodes",
    "get,list,watch node.k8s.io runtimeclasses",
    "get resource.k8s.io resourceclaims",
    "deletecollection resource.k8s.io resourceslices",
    "get,list,watch,create,update,patch,delete resource.k8s.io resourceslices",
    "get,list,watch certificates.k8s.io clustertrustbundles",
)

CLUSTER_ROLES: Final[dict[str, Lines]] = {
    "cluster-admin": ("* * *", "* url *"),
    "system:discovery": (
        (
            "get url /livez,/readyz,/healthz,/version,/version/,/openapi,/openapi/*,/api,"
            "/api/*,/apis,"
            "/apis/*"
        ),
    ),
    "system:monitoring": (
        "get url /metrics,/metrics/slis,/livez,/readyz,/healthz,/livez/*,/readyz/*,/healthz/*",
    ),
    "system:basic-user": (
        "create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews",
        "create authentication.k8s.io selfsubjectreviews",
    ),
    "system:public-info-viewer": ("get url /livez,/readyz,/healthz,/version,/version/",),
    "system:aggregate-to-admin": (
        "create authorization.k8s.io localsubjectaccessreviews",
        "ALL rbac.authorization.k8s.io roles,rolebindings",
    ),
    "system:aggregate-to-edit": (
        "READ core pods/attach,pods/proxy,pods/exec,pods/portforward,secrets,services/proxy",
        "impersonate core serviceaccounts",
        "WRITE core pods,pods/attach,pods/proxy,pods/exec,pods/portforward",
        "create core pods/eviction",
        (
            "WRITE core replicationcontrollers,replicationcontrollers/scale,"
            "serviceaccounts,services,"
            "services/proxy,persistentvolumeclaims,configmaps,secrets,events"
        ),
        "create core serviceaccounts/token",
        (
            "WRITE apps statefulsets,statefulsets/scale,daemonsets,deployments,deployments/scale,"
            "deployments/rollback,replicasets,replicasets/scale"
        ),
        "WRITE autoscaling horizontalpodautoscalers",
        "WRITE batch jobs,cronjobs",
        (
            "WRITE extensions daemonsets,deployments,deployments/scale,"
            "deployments/rollback,ingresses,"
            "replicasets,replicasets/scale,replicationcontrollers/scale,networkpolicies"
        ),
        "WRITE policy poddisruptionbudgets",
        "WRITE networking.k8s.io networkpolicies,ingresses",
        "ALL coordination.k8s.io leases",
        "WRITE resource.k8s.io resourceclaims,resourceclaimtemplates",
    ),
    "system:aggregate-to-view": (
        (
            "READ core pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,"
            "services,services/status,endpoints,persistentvolumeclaims,"
            "persistentvolumeclaims/status,"
            "configmaps"
        ),
        (
            "READ core limitranges,resourcequotas,bindings,events,pods/status,"
            "resourcequotas/status,"
            "namespaces/status,replicationcontrollers/status,pods/log"
        ),
        "READ core namespaces",
        "READ discovery.k8s.io endpointslices",
        (
            "READ apps controllerrevisions,statefulsets,statefulsets/status,statefulsets/scale,"
            "daemonsets,daemonsets/status,deployments,deployments/status,deployments/scale,"
            "replicasets,replicasets/status,replicasets/scale"
        ),
        "READ autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status",
        "READ batch jobs,cronjobs,cronjobs/status,jobs/status",
        (
            "READ extensions daemonsets,daemonsets/status,deployments,deployments/scale,"
            "deployments/status,ingresses,ingresses/status,replicasets,replicasets/scale,"
            "replicasets/status,replicationcontrollers/scale,networkpolicies"
        ),
        "READ policy poddisruptionbudgets,poddisruptionbudgets/status",
        "READ networking.k8s.io networkpolicies,ingresses,ingresses/status",
        "READ resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates",
    ),
    "system:heapster": (
        "READ core events,pods,nodes,namespaces",
        "READ extensions deployments",
    ),
    "system:node": NODE,
    "system:node-problem-detector": ("get core nodes", "patch core nodes/status", EVENTS),
    "system:kubelet-api-admin": (
        "get,list,watch core nodes",
        "proxy core nodes",
        (
            "* core nodes/proxy,nodes/metrics,nodes/stats,nodes/log,nodes/healthz,nodes/pods,"
            "nodes/configz"
        ),
    ),
    "system:node-bootstrapper": (
        "create,get,list,watch certificates.k8s.io certificatesigningrequests",
    ),
    "system:auth-delegator": (
        "create authentication.k8s.io tokenreviews",
        "create authorization.k8s.io subjectaccessreviews",
    ),
    "system:kube-aggregator": ("READ core services,endpoints",),
    "system:kube-controller-manager": (
        EVENTS,
        "create coordination.k8s.io leases",
        "get,update coordination.k8s.io leases kube-controller-manager",
        "create core secrets,serviceaccounts",
        "delete core secrets",
        "get core namespaces,secrets,serviceaccounts,configmaps",
        "update core secrets,serviceaccounts",
        "create authentication.k8s.io tokenreviews",
        "create authorization.k8s.io subjectaccessreviews",
        "list,watch * *",
        "create core serviceaccounts/token",
    ),
    "system:kube-dns": ("list,watch core endpoints,services",),
    "system:persistent-volume-provisioner": (
        "get,list,watch,create,delete core persistentvolumes",
        "get,list,watch,update core persistentvolumeclaims",
        "READ storage.k8s.io storageclasses",
        "watch core events",
        EVENTS,
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        "create certificates.k8s.io certificatesigningrequests/nodeclient",
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        "create certificates.k8s.io certificatesigningrequests/selfnodeclient",
    ),
    "system:volume-scheduler": (
        "get,list,watch,update,patch core persistentvolumes",
        "READ storage.k8s.io storageclasses",
        "get,list,watch,update,patch core persistentvolumeclaims",
    ),
    "system:certificates.k8s.io:legacy-unknown-approver": (
        f"approve certificates.k8s.io signers {_SIGNER}/legacy-unknown",
    ),
    "system:certificates.k8s.io:kubelet-serving-approver": (
        f"approve certificates.k8s.io signers {_SIGNER}/kubelet-serving",
    ),
    "system:certificates.k8s.io:kube-apiserver-client-approver": (
        f"approve certificates.k8s.io signers {_SIGNER}/kube-apiserver-client",
    ),
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": (
        f"approve certificates.k8s.io signers {_SIGNER}/kube-apiserver-client-kubelet",
    ),
    "system:service-account-issuer-discovery": (
        "get url /.well-known/openid-configuration,/openid/v1/jwks",
    ),
    "system:node-proxier": (
        "list,watch core services,endpoints",
        "get,list,watch core nodes",
        EVENTS,
        "list,watch discovery.k8s.io endpointslices",
        "list,watch networking.k8s.io servicecidrs",
    ),
    "system:kube-scheduler": (
        EVENTS,
        "create coordination.k8s.io leases",
        "get,update coordination.k8s.io leases kube-scheduler",
        "READ core nodes",
        "get,list,watch,delete core pods",
        "create core pods/binding,bindings",
        "patch,update core pods/status",
        "READ core services,replicationcontrollers",
        "READ apps,extensions replicasets",
        "READ apps statefulsets",
        "READ policy poddisruptionbudgets",
        "READ core persistentvolumeclaims,persistentvolumes",
        "create authentication.k8s.io tokenreviews",
        "create authorization.k8s.io subjectaccessreviews",
        "READ storage.k8s.io csinodes",
        "READ core namespaces",
        "READ storage.k8s.io csidrivers",
        "READ storage.k8s.io csistoragecapacities",
        "READ storage.k8s.io volumeattachments",
        "READ resource.k8s.io deviceclasses",
        "get,list,watch,update,patch resource.k8s.io resourceclaims",
        "update,patch resource.k8s.io resourceclaims/status",
        "READ resource.k8s.io resourceslices",
    ),
}

# Roles that are made of others: name, label of what goes into it, label of what it goes into.
AGGREGATED: Final = (
    ("admin", "admin", ""),
    ("edit", "edit", "admin"),
    ("view", "view", "edit"),
)

# Subjects: `group:NAME`, `user:NAME` or `account:NAMESPACE/NAME`.
CLUSTER_ROLE_BINDINGS: Final[dict[str, Lines]] = {
    "cluster-admin": ("group:system:masters",),
    "system:monitoring": ("group:system:monitoring",),
    "system:discovery": ("group:system:authenticated",),
    "system:basic-user": ("group:system:authenticated",),
    "system:public-info-viewer": ("group:system:authenticated", "group:system:unauthenticated"),
    "system:node-proxier": ("user:system:kube-proxy",),
    "system:kube-controller-manager": ("user:system:kube-controller-manager",),
    "system:kube-dns": ("account:kube-system/kube-dns",),
    "system:kube-scheduler": ("user:system:kube-scheduler",),
    "system:volume-scheduler": ("user:system:kube-scheduler",),
    # The Node authorizer does what this binding did.
    "system:node": (),
    "system:service-account-issuer-discovery": ("group:system:serviceaccounts",),
}

# By namespace and name.
ROLES: Final[dict[tuple[str, str], Lines]] = {
    ("kube-system", "extension-apiserver-authentication-reader"): (
        "get,list,watch core configmaps extension-apiserver-authentication",
    ),
    ("kube-system", "system:controller:bootstrap-signer"): ("get,list,watch core secrets",),
    ("kube-system", "system:controller:cloud-provider"): ("create,get,list,watch core configmaps",),
    ("kube-system", "system:controller:token-cleaner"): (
        "get,list,watch,delete core secrets",
        EVENTS,
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "watch core configmaps",
        "get,update core configmaps kube-controller-manager",
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "watch core configmaps",
        "get,update core configmaps kube-scheduler",
    ),
    ("kube-public", "system:controller:bootstrap-signer"): (
        "get,list,watch core configmaps",
        "update core configmaps cluster-info",
        EVENTS,
    ),
}

# By namespace and name: the Role, and the subjects.
ROLE_BINDINGS: Final[dict[tuple[str, str], tuple[str, Lines]]] = {
    ("kube-system", "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        ("user:system:kube-controller-manager", "user:system:kube-scheduler"),
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "system::leader-locking-kube-controller-manager",
        ("user:system:kube-controller-manager", "account:kube-system/kube-controller-manager"),
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "system::leader-locking-kube-scheduler",
        ("user:system:kube-scheduler", "account:kube-system/kube-scheduler"),
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        ("account:kube-system/bootstrap-signer",),
    ),
    ("kube-system", "system:controller:cloud-provider"): (
        "system:controller:cloud-provider",
        ("account:kube-system/cloud-provider",),
    ),
    ("kube-system", "system:controller:token-cleaner"): (
        "system:controller:token-cleaner",
        ("account:kube-system/token-cleaner",),
    ),
    ("kube-public", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        ("account:kube-system/bootstrap-signer",),
    ),
}
