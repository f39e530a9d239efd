"""What the server says of itself: groups, versions, resources and their verbs.

Source: Kubernetes API concepts ("API Discovery", unaggregated).
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api import scheme
from k8sactors.api.scheme import ResourceInfo

Object = dict[str, Any]

RELEASE: Final = ("1", "34")
ALL_VERBS: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)
NO_COLLECTION_DELETE: Final = frozenset({"namespaces", "services"})
ASKED_ONLY: Final = ("create",)
_SUBRESOURCES: Final[dict[str, tuple[str, ...]]] = {
    "binding": ("create",),
    "eviction": ("create",),
    "finalize": ("update",),
    "scale": ("get", "patch", "update"),
    "status": ("get", "patch", "update"),
}
_KINDS_OF_SUBRESOURCES: Final = {
    "binding": ("Binding", "", ""),
    "eviction": ("Eviction", "policy", "v1"),
    "scale": ("Scale", "autoscaling", "v1"),
}


def is_stored(info: ResourceInfo) -> bool:
    """Whether objects of the resource are kept; reviews and bindings are only asked."""
    return not info.kind.endswith("Review") and info.kind != "Binding"


def document(path: str) -> Object | None:
    """The discovery document at `path`; None: there is none."""
    parts = path.strip("/").split("/")
    match parts:
        case [""]:
            return {"paths": _all_paths()}
        case ["api"]:
            return {
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [],
            }
        case ["apis"]:
            groups = [_group(group) for group in _groups()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["api", release]:
            return _resources(release)
        case ["apis", group] if group in _groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["apis", group, release]:
            return _resources(f"{group}/{release}")
        case ["version"]:
            return version()
    return None


def _all_paths() -> list[str]:
    groups = [
        path
        for group, versions in _groups().items()
        for path in (f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions))
    ]
    about = ["/healthz", "/livez", "/openapi/v2", "/readyz", "/version"]
    return sorted(["/api", "/api/v1", "/apis", *groups, *about])


def version() -> Object:
    """The release whose API is served."""
    major, minor = RELEASE
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{major}.{minor}.0+k8sactors",
        "platform": "python",
    }


def _groups() -> dict[str, list[str]]:
    """The versions of each group, the preferred one first."""
    found: dict[str, list[str]] = {}
    for info in scheme.resources():
        versions = found.setdefault(info.group, []) if info.group else []
        if info.version not in versions:
            versions.append(info.version)
    return found


def _group(group: str) -> Object:
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version} for version in _groups()[group]
    ]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(api_version: str) -> Object | None:
    found: list[Object] = []
    for info in scheme.resources():
        if info.api_version == api_version:
            found += _resource(info)
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": sorted(found, key=lambda entry: str(entry["name"])),
    }


def _resource(info: ResourceInfo) -> list[Object]:
    verbs = [
        verb
        for verb in (ALL_VERBS if is_stored(info) else ASKED_ONLY)
        if verb != "deletecollection" or info.plural not in NO_COLLECTION_DELETE
    ]
    entry: Object = {
        "name": info.plural,
        "singularName": "",
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": verbs,
    }
    if info.short_names:
        entry["shortNames"] = list(info.short_names)
    if info.categories:
        entry["categories"] = list(info.categories)
    found = [entry]
    for name in info.subresources:
        if name in _SUBRESOURCES:
            kind, group, kind_version = _KINDS_OF_SUBRESOURCES.get(name, (info.kind, "", ""))
            part: Object = {
                "name": f"{info.plural}/{name}",
                "singularName": "",
                "namespaced": info.namespaced,
                "kind": kind,
                "verbs": list(_SUBRESOURCES[name]),
            }
            if kind_version:
                part |= {"group": group, "version": kind_version}
            found.append(part)
    return found
