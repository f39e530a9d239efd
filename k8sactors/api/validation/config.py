"""Rules for ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import binascii
import json

from k8sactors.api.validation import names
from k8sactors.api.validation.fields import Causes, Object, forbidden, invalid, required, too_long

SIZE_BYTES_MAX = 1024 * 1024
_NEEDED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT = "kubernetes.io/service-account.name"


def _check_keys(data: Object, path: str, causes: Causes) -> None:
    for key in data:
        for complaint in names.config_key(key):
            causes.append(invalid(f"{path}[{key}]", key, complaint))


def check_config_map(obj: Object, causes: Causes) -> None:
    """A ConfigMap."""
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    _check_keys(data, "data", causes)
    _check_keys(binary, "binaryData", causes)
    for key in binary:
        if key in data:
            detail = f"duplicate of key present in data: {key}"
            causes.append(invalid(f"data[{key}]", key, detail))
    size_bytes = sum(len((value or "").encode()) for value in data.values())
    size_bytes += sum(len(value or "") * 3 // 4 for value in binary.values())
    if size_bytes > SIZE_BYTES_MAX:
        causes.append(too_long("", SIZE_BYTES_MAX))


def _check_frozen(old: Object, new: Object, fields: tuple[str, ...], causes: Causes) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        detail = "field is immutable when `immutable` is set"
        causes.append(forbidden("immutable", detail))
    for field in fields:
        if (old.get(field) or {}) != (new.get(field) or {}):
            detail = "field is immutable when `immutable` is set"
            causes.append(forbidden(field, detail))


def check_config_map_update(old: Object, new: Object, causes: Causes) -> None:
    """A ConfigMap that was declared immutable stays what it is."""
    _check_frozen(old, new, ("data", "binaryData"), causes)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def check_secret(obj: Object, causes: Causes) -> None:
    """A Secret: typed ones must hold what their type promises."""
    data: dict[str, str] = obj.get("data") or {}
    _check_keys(data, "data", causes)
    size_bytes = 0
    for key, value in data.items():
        raw = _decoded(value or "")
        if raw is None:
            causes.append(invalid(f"data[{key}]", "<secret contents redacted>", "not base64"))
        else:
            size_bytes += len(raw)
    if size_bytes > SIZE_BYTES_MAX:
        causes.append(too_long("data", SIZE_BYTES_MAX))
    kind = obj.get("type") or ""
    if kind == "kubernetes.io/service-account-token":
        annotations = (obj.get("metadata") or {}).get("annotations") or {}
        if not annotations.get(_ACCOUNT):
            causes.append(required(f"metadata.annotations[{_ACCOUNT}]"))
    elif kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        causes.append(required("data[username]"))
        causes.append(required("data[password]"))
    for key in _NEEDED_KEYS.get(kind, ()):
        if key not in data:
            causes.append(required(f"data[{key}]"))
        elif key.startswith(".docker") and not _is_json(_decoded(data[key])):
            causes.append(
                invalid(f"data[{key}]", "<secret contents redacted>", "unexpected end of JSON")
            )


def _is_json(raw: bytes | None) -> bool:
    try:
        json.loads(raw or b"")
    except ValueError:
        return False
    return True


def check_secret_update(old: Object, new: Object, causes: Causes) -> None:
    """A Secret keeps its type, and all of itself once immutable."""
    if new.get("type") != old.get("type"):
        causes.append(invalid("type", new.get("type"), "field is immutable"))
    _check_frozen(old, new, ("data",), causes)
