"""ServiceAccount: every pod runs under a service account, and finds a token for it.

Source: documentation of admission controllers, "ServiceAccount", and of service accounts. The
account named `default` is made by a controller shortly after the namespace, so a pod may have to
wait a moment for it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors, meta, pod_references
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Plugin
from k8sactors.apiserver.keys import key_of

Object = dict[str, Any]

ACCOUNTS: Final = "serviceaccounts"
DEFAULT_ACCOUNT: Final = "default"
MIRROR: Final = "kubernetes.io/config.mirror"
MOUNTABLE_SECRETS: Final = "kubernetes.io/enforce-mountable-secrets"
VOLUME_PREFIX: Final = "kube-api-access-"
MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
# One hour and seven seconds: by this number the real server tells tokens that it asked for.
TOKEN_SECONDS: Final = 3607
_VOLUME: Final = {
    "defaultMode": 0o644,
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
        {
            "downwardAPI": {
                "items": [
                    {
                        "path": "namespace",
                        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                    }
                ]
            }
        },
    ],
}


class ServiceAccount(Plugin):
    """Fills in the account and what a pod has from it, and checks that the account exists."""

    order: ClassVar[int] = 70
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._accounts = cluster.objects(ACCOUNTS)
        self._must_exist = cluster.config.service_account_must_exist
        self._mount_token = cluster.config.service_account_token_volumes

    def admit(self, attributes: Attributes) -> None:
        """403 when the account is missing, or a mirror pod has one."""
        obj = attributes.obj
        assert obj is not None
        spec = obj["spec"]
        annotations = obj["metadata"].get("annotations")
        if annotations and MIRROR in annotations:
            _check_mirror_pod(attributes, spec)
            return
        name = spec.get("serviceAccountName")
        if not name:
            name = spec.get("serviceAccount") or DEFAULT_ACCOUNT
            spec = obj["spec"] = {**spec, "serviceAccountName": name, "serviceAccount": name}
        elif spec.get("serviceAccount") != name:
            spec = obj["spec"] = {**spec, "serviceAccount": name}
        account = self._accounts.get(attributes.namespace, name)
        if account is None:
            if not self._must_exist:
                return
            account = self._read(attributes, name)
        if self._mount_token and _automounts(account, spec):
            spec = obj["spec"] = self._with_token(spec)
        pull_secrets = account.get("imagePullSecrets")
        if pull_secrets and not spec.get("imagePullSecrets"):
            spec = obj["spec"] = {**spec, "imagePullSecrets": pull_secrets}
        if (account["metadata"].get("annotations") or {}).get(MOUNTABLE_SECRETS) == "true":
            _check_secrets(attributes, spec, account)

    def _read(self, attributes: Attributes, name: str) -> Object:
        namespace = attributes.namespace
        wait_ns = self.cluster.config.service_account_wait_ns if name == DEFAULT_ACCOUNT else 0
        state = attributes.lookup(key_of(ACCOUNTS, namespace, name), wait_ns)
        if state is None:
            raise errors.forbidden(
                attributes.info,
                attributes.name,
                f"error looking up service account {namespace}/{name}: "
                f'serviceaccount "{name}" not found',
            )
        account: Object = self.cluster.decode(state)
        return account

    def _with_token(self, spec: Object) -> Object:
        """The specification with the volume of the token mounted in every container."""
        volumes = spec.get("volumes") or []
        present = [each["name"] for each in volumes if each["name"].startswith(VOLUME_PREFIX)]
        if present:
            name = present[0]
        else:
            name = meta.generate_name(VOLUME_PREFIX, self.cluster.environment.random)
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        changed: Object = {}
        for field in ("initContainers", "containers"):
            mounted = [_mounted(container, mount) for container in spec.get(field) or ()]
            if mounted != (spec.get(field) or []):
                changed[field] = mounted
        if changed and not present:
            changed["volumes"] = [*volumes, {"name": name, "projected": _VOLUME}]
        return {**spec, **changed}


def _mounted(container: Object, mount: Object) -> Object:
    mounts = container.get("volumeMounts") or []
    if any(each.get("mountPath") == MOUNT_PATH for each in mounts):
        return container
    return {**container, "volumeMounts": [*mounts, mount]}


def _automounts(account: Object, spec: Object) -> bool:
    for holder in (spec, account):
        automount = holder.get("automountServiceAccountToken")
        if automount is not None:
            return bool(automount)
    return True


def _check_mirror_pod(attributes: Attributes, spec: Object) -> None:
    problem = ""
    if spec.get("serviceAccountName"):
        problem = "a mirror pod may not reference service accounts"
    elif any(True for _ in pod_references.secrets(spec)):
        problem = "a mirror pod may not reference secrets"
    elif pod_references.has_projection(spec, "serviceAccountToken"):
        problem = "a mirror pod may not use ServiceAccountToken volume projections"
    if problem:
        raise errors.forbidden(attributes.info, attributes.name, problem)


def _check_secrets(attributes: Attributes, spec: Object, account: Object) -> None:
    """An account may say that its pods use none but its own Secrets."""
    name = account["metadata"]["name"]
    mountable = {each.get("name") for each in account.get("secrets") or ()}
    pullable = {each.get("name") for each in account.get("imagePullSecrets") or ()}
    what = "referencing secret."
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if secret and secret not in mountable:
            raise errors.forbidden(
                attributes.info,
                attributes.name,
                f'volume with secret.secretName="{secret}" is not allowed because service account '
                f"{name} does not reference that secret",
            )
    for container in pod_references.containers(spec):
        for variable in container.get("env") or ():
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if reference is not None and reference.get("name") not in mountable:
                raise errors.forbidden(
                    attributes.info,
                    attributes.name,
                    f"container {container['name']} with envVar {variable['name']} {what}"
                    f'secretName="{reference.get("name")}" is not allowed because service account '
                    f"{name} does not reference that secret",
                )
    for reference in spec.get("imagePullSecrets") or ():
        if reference.get("name") not in pullable:
            raise errors.forbidden(
                attributes.info,
                attributes.name,
                f'imagePullSecrets[0].name="{reference.get("name")}" is not allowed because '
                f"service account {name} does not reference that imagePullSecret",
            )
