"""Which other objects a pod refers to, by their names.

Sources: the fields of PodSpec, and the visitors of the real server that its admission plugins and
the Node authorizer use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Fields = Mapping[str, Any]

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
# Volume sources with a reference to a Secret, and the field that holds it.
_SECRET_REFERENCES = {
    "azureFile": "secretName",
    "cephfs": "secretRef",
    "cinder": "secretRef",
    "csi": "nodePublishSecretRef",
    "flexVolume": "secretRef",
    "iscsi": "secretRef",
    "rbd": "secretRef",
    "scaleIO": "secretRef",
    "storageos": "secretRef",
}


def containers(spec: Fields) -> Iterator[Fields]:
    """All containers of a pod: init containers first, then the others."""
    for field in CONTAINERS:
        yield from spec.get(field) or ()


def secrets(spec: Fields) -> Iterator[str]:
    """The names of the Secrets that a pod uses."""
    for reference in spec.get("imagePullSecrets") or ():
        yield reference.get("name") or ""
    yield from _from_environment(spec, "secretKeyRef", "secretRef")
    for volume in spec.get("volumes") or ():
        for source in _sources(volume):
            secret = source.get("secret")
            if secret is not None:
                yield secret.get("secretName") or secret.get("name") or ""
        for kind, field in _SECRET_REFERENCES.items():
            reference = (volume.get(kind) or {}).get(field)
            if reference:
                yield reference if isinstance(reference, str) else reference.get("name") or ""


def config_maps(spec: Fields) -> Iterator[str]:
    """The names of the ConfigMaps that a pod uses."""
    yield from _from_environment(spec, "configMapKeyRef", "configMapRef")
    for volume in spec.get("volumes") or ():
        for source in _sources(volume):
            if source.get("configMap") is not None:
                yield source["configMap"].get("name") or ""


def claims(pod: Fields) -> Iterator[str]:
    """The names of the PersistentVolumeClaims that a pod uses, those of ephemeral volumes too."""
    for volume in pod["spec"].get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:
            yield claim.get("claimName") or ""
        elif volume.get("ephemeral") is not None:
            yield f"{pod['metadata'].get('name', '')}-{volume['name']}"


def has_projection(spec: Fields, kind: str) -> bool:
    """Whether a projected volume of the pod has a source of a kind, such as a token."""
    return any(
        source.get(kind) is not None
        for volume in spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
    )


def _sources(volume: Fields) -> Iterator[Fields]:
    yield volume
    yield from (volume.get("projected") or {}).get("sources") or ()


def _from_environment(spec: Fields, key_reference: str, reference: str) -> Iterator[str]:
    for container in containers(spec):
        for source in container.get("envFrom") or ():
            if source.get(reference) is not None:
                yield source[reference].get("name") or ""
        for variable in container.get("env") or ():
            chosen = (variable.get("valueFrom") or {}).get(key_reference)
            if chosen is not None:
                yield chosen.get("name") or ""
