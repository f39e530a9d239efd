"""The scheme: which resources exist, how they are called, and what hangs below them.

Names, short names, scope and subresources are facts of the Kubernetes API that no schema states,
so they stand here as one table. The form of each kind comes from `definitions`. Custom resources
are added to a `Scheme` of one's own.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from k8sactors.api.errors import UnknownKindError, UnknownResourceError, qualified


@attrs.frozen(slots=True)
class ResourceInfo:
    """One served resource in one version. `group` is "" for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    subresources: tuple[str, ...]
    list_kind: str
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """The name that is unique over all groups: `pods`, `deployments.apps`."""
        return qualified(self.plural, self.group)


# kind, plural, scope (N: namespaced, C: cluster), subresources, short names
_ST = "status"
_SC = "status scale"
_POD = "status binding eviction log exec attach portforward proxy ephemeralcontainers resize"
_TABLE: dict[str, tuple[tuple[str, str, str, str, str], ...]] = {
    "v1": (
        ("Pod", "pods", "N", _POD, "po"),
        ("Node", "nodes", "C", "status proxy", "no"),
        ("Service", "services", "N", "status proxy", "svc"),
        ("Endpoints", "endpoints", "N", "", "ep"),
        ("Namespace", "namespaces", "C", "status finalize", "ns"),
        ("ConfigMap", "configmaps", "N", "", "cm"),
        ("Secret", "secrets", "N", "", ""),
        ("ServiceAccount", "serviceaccounts", "N", "token", "sa"),
        ("Event", "events", "N", "", "ev"),
        ("PersistentVolume", "persistentvolumes", "C", _ST, "pv"),
        ("PersistentVolumeClaim", "persistentvolumeclaims", "N", _ST, "pvc"),
        ("ReplicationController", "replicationcontrollers", "N", _SC, "rc"),
        ("PodTemplate", "podtemplates", "N", "", ""),
        ("ResourceQuota", "resourcequotas", "N", _ST, "quota"),
        ("LimitRange", "limitranges", "N", "", "limits"),
        ("ComponentStatus", "componentstatuses", "C", "", "cs"),
        ("Binding", "bindings", "N", "", ""),
    ),
    "apps/v1": (
        ("Deployment", "deployments", "N", _SC, "deploy"),
        ("ReplicaSet", "replicasets", "N", _SC, "rs"),
        ("StatefulSet", "statefulsets", "N", _SC, "sts"),
        ("DaemonSet", "daemonsets", "N", _ST, "ds"),
        ("ControllerRevision", "controllerrevisions", "N", "", ""),
    ),
    "batch/v1": (
        ("Job", "jobs", "N", _ST, ""),
        ("CronJob", "cronjobs", "N", _ST, "cj"),
    ),
    "autoscaling/v2": (("HorizontalPodAutoscaler", "horizontalpodautoscalers", "N", _ST, "hpa"),),
    "autoscaling/v1": (("HorizontalPodAutoscaler", "horizontalpodautoscalers", "N", _ST, "hpa"),),
    "policy/v1": (("PodDisruptionBudget", "poddisruptionbudgets", "N", _ST, "pdb"),),
    "discovery.k8s.io/v1": (("EndpointSlice", "endpointslices", "N", "", ""),),
    "coordination.k8s.io/v1": (("Lease", "leases", "N", "", ""),),
    "events.k8s.io/v1": (("Event", "events", "N", "", "ev"),),
    "networking.k8s.io/v1": (
        ("Ingress", "ingresses", "N", _ST, "ing"),
        ("IngressClass", "ingressclasses", "C", "", ""),
        ("NetworkPolicy", "networkpolicies", "N", "", "netpol"),
        ("IPAddress", "ipaddresses", "C", "", "ip"),
        ("ServiceCIDR", "servicecidrs", "C", _ST, ""),
    ),
    "rbac.authorization.k8s.io/v1": (
        ("Role", "roles", "N", "", ""),
        ("RoleBinding", "rolebindings", "N", "", ""),
        ("ClusterRole", "clusterroles", "C", "", ""),
        ("ClusterRoleBinding", "clusterrolebindings", "C", "", ""),
    ),
    "storage.k8s.io/v1": (
        ("StorageClass", "storageclasses", "C", "", "sc"),
        ("VolumeAttachment", "volumeattachments", "C", _ST, ""),
        ("CSIDriver", "csidrivers", "C", "", ""),
        ("CSINode", "csinodes", "C", "", ""),
        ("CSIStorageCapacity", "csistoragecapacities", "N", "", ""),
        ("VolumeAttributesClass", "volumeattributesclasses", "C", "", "vac"),
    ),
    "scheduling.k8s.io/v1": (("PriorityClass", "priorityclasses", "C", "", "pc"),),
    "node.k8s.io/v1": (("RuntimeClass", "runtimeclasses", "C", "", ""),),
    "admissionregistration.k8s.io/v1": (
        ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "C", "", ""),
        ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "C", "", ""),
        ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", "C", _ST, ""),
        ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "C", "", ""),
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies", "C", "", ""),
        ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "C", "", ""),
    ),
    "apiextensions.k8s.io/v1": (
        ("CustomResourceDefinition", "customresourcedefinitions", "C", _ST, "crd crds"),
    ),
    "apiregistration.k8s.io/v1": (("APIService", "apiservices", "C", _ST, ""),),
    "certificates.k8s.io/v1": (
        ("CertificateSigningRequest", "certificatesigningrequests", "C", "status approval", "csr"),
    ),
    "flowcontrol.apiserver.k8s.io/v1": (
        ("FlowSchema", "flowschemas", "C", _ST, ""),
        ("PriorityLevelConfiguration", "prioritylevelconfigurations", "C", _ST, ""),
    ),
    "resource.k8s.io/v1": (
        ("DeviceClass", "deviceclasses", "C", "", ""),
        ("ResourceClaim", "resourceclaims", "N", _ST, ""),
        ("ResourceClaimTemplate", "resourceclaimtemplates", "N", "", ""),
        ("ResourceSlice", "resourceslices", "C", "", ""),
    ),
    "authentication.k8s.io/v1": (
        ("TokenReview", "tokenreviews", "C", "", ""),
        ("SelfSubjectReview", "selfsubjectreviews", "C", "", ""),
    ),
    "authorization.k8s.io/v1": (
        ("SubjectAccessReview", "subjectaccessreviews", "C", "", ""),
        ("SelfSubjectAccessReview", "selfsubjectaccessreviews", "C", "", ""),
        ("SelfSubjectRulesReview", "selfsubjectrulesreviews", "C", "", ""),
        ("LocalSubjectAccessReview", "localsubjectaccessreviews", "N", "", ""),
    ),
}  # fmt: skip

_IN_ALL = {
    "pods", "services", "replicationcontrollers", "deployments", "replicasets", "statefulsets",
    "daemonsets", "jobs", "cronjobs", "horizontalpodautoscalers",
}  # fmt: skip


def split_api_version(api_version: str) -> tuple[str, str]:
    """`apps/v1` is ("apps", "v1"), `v1` is ("", "v1")."""
    group, slash, version = api_version.partition("/")
    return (group, version) if slash else ("", group)


class Scheme:
    """Resources by name and by kind; the first version added under a name is the preferred one."""

    def __init__(self, infos: Iterable[ResourceInfo] = ()) -> None:
        self._by_kind: dict[tuple[str, str], ResourceInfo] = {}
        self._by_name: dict[str, ResourceInfo] = {}
        self._aliases: dict[str, ResourceInfo] = {}
        for info in infos:
            self.add(info)

    def add(self, info: ResourceInfo) -> None:
        """Serve one more resource (or one more version of it)."""
        self._by_kind[info.api_version, info.kind] = info
        self._by_name.setdefault(info.name, info)
        self._by_name.setdefault(info.plural, info)
        for alias in (info.singular, info.kind, *info.short_names):
            self._aliases.setdefault(alias.lower(), info)
        self._aliases.setdefault(f"{info.singular}.{info.group}".rstrip("."), info)

    def remove(self, info: ResourceInfo) -> None:
        """Serve a resource no longer (a CustomResourceDefinition was deleted)."""
        del self._by_kind[info.api_version, info.kind]
        for table in (self._by_name, self._aliases):
            for name in [name for name, served in table.items() if served is info]:
                del table[name]

    def resource(self, name: str) -> ResourceInfo:
        """By `plural`, or `plural.group` where a plain plural would mean another group."""
        info = self._by_name.get(name)
        if info is None:
            raise UnknownResourceError(name)
        return info

    def kind(self, api_version: str, kind: str) -> ResourceInfo:
        """By what an object says of itself."""
        info = self._by_kind.get((api_version, kind))
        if info is None:
            raise UnknownKindError(api_version, kind)
        return info

    def lookup(self, word: str) -> ResourceInfo:
        """By anything that a person types: `po`, `pod`, `Pods`, `deploy`, `deployment.apps`."""
        info = self._by_name.get(word.lower()) or self._aliases.get(word.lower())
        if info is None:
            raise UnknownResourceError(word)
        return info

    def resources(self) -> tuple[ResourceInfo, ...]:
        """All of them, every version, in the order in which they were added."""
        return tuple(self._by_kind.values())


def make_info(
    api_version: str, kind: str, plural: str, *, namespaced: bool, subresources: str, shorts: str
) -> ResourceInfo:
    """The table row of a resource whose other names follow from its kind."""
    group, version = split_api_version(api_version)
    return ResourceInfo(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        short_names=tuple(shorts.split()),
        namespaced=namespaced,
        subresources=tuple(subresources.split()),
        list_kind=f"{kind}List",
        categories=("all",) if plural in _IN_ALL else (),
    )


def builtin() -> Scheme:
    """A fresh scheme with all built-in resources."""
    scheme = Scheme()
    for api_version, rows in _TABLE.items():
        for kind_name, plural, scope, subresources, shorts in rows:
            scheme.add(
                make_info(
                    api_version,
                    kind_name,
                    plural,
                    namespaced=scope == "N",
                    subresources=subresources,
                    shorts=shorts,
                )
            )
    return scheme


_builtin = builtin()
resource = _builtin.resource
kind = _builtin.kind
lookup = _builtin.lookup
resources = _builtin.resources
