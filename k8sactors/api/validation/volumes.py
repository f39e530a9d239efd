"""Rules for the volumes of a pod."""

from __future__ import annotations

from k8sactors.api.validation import names
from k8sactors.api.validation.fields import (
    Causes,
    Object,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from k8sactors.api.validation.resources import check_amount

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
# What each source cannot do without.
_NEEDED = {
    "secret": "secretName",
    "configMap": "name",
    "hostPath": "path",
    "persistentVolumeClaim": "claimName",
    "csi": "driver",
    "nfs": "server",
}
_MODE_MAX = 0o777


def _check_items(items: list[Object], path: str, causes: Causes) -> None:
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        if not item.get("key"):
            causes.append(required(f"{at}.key"))
        where = item.get("path")
        if not where:
            causes.append(required(f"{at}.path"))
        elif where.startswith("/"):
            causes.append(invalid(f"{at}.path", where, "must be a relative path"))
        elif ".." in where.split("/"):
            causes.append(invalid(f"{at}.path", where, "must not contain '..'"))


def _check_source(name: str, source: Object, path: str, causes: Causes) -> None:
    needed = _NEEDED.get(name)
    if needed and not source.get(needed):
        causes.append(required(f"{path}.{needed}"))
    mode = source.get("defaultMode")
    if mode is not None and not 0 <= mode <= _MODE_MAX:
        detail = "must be a number between 0 and 0777 (octal), both inclusive"
        causes.append(invalid(f"{path}.defaultMode", mode, detail))
    if name in {"secret", "configMap"} and source.get("items"):
        _check_items(source["items"], f"{path}.items", causes)
    elif name == "hostPath":
        kind = source.get("type")
        if kind is not None and kind not in _HOST_PATH_TYPES:
            causes.append(not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))
        if ".." in (source.get("path") or "").split("/"):
            causes.append(invalid(f"{path}.path", source["path"], "must not contain '..'"))
    elif name == "emptyDir" and source.get("sizeLimit") is not None:
        check_amount(source["sizeLimit"], f"{path}.sizeLimit", causes)
    elif name == "projected":
        for index, projection in enumerate(source.get("sources") or ()):
            for kind in ("secret", "configMap"):
                items = (projection.get(kind) or {}).get("items")
                if items:
                    _check_items(items, f"{path}.sources[{index}].{kind}.items", causes)


def check_volumes(volumes: list[Object], path: str, causes: Causes) -> dict[str, None]:
    """All volumes of a pod; the answer is their names, for the mounts to refer to."""
    found: dict[str, None] = {}
    for index, volume in enumerate(volumes):
        at = f"{path}[{index}]"
        name = volume.get("name")
        if not name:
            causes.append(required(f"{at}.name"))
        else:
            complaints = names.dns1123_label(name)
            for complaint in complaints:
                causes.append(invalid(f"{at}.name", name, complaint))
            if name in found:
                causes.append(duplicate(f"{at}.name", name))
            found[name] = None
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        if not sources:
            causes.append(required(at, "must specify a volume type"))
            continue
        for other in sources[1:]:
            detail = "may not specify more than 1 volume type"
            causes.append(forbidden(f"{at}.{other}", detail))
        _check_source(sources[0], volume[sources[0]], f"{at}.{sources[0]}", causes)
    return found
