"""What the server says of itself: groups, versions, resources and their verbs.

Source: Kubernetes API concepts ("API Discovery"): the legacy documents, one per group version, and
the aggregated ones (KEP-3352), which hold everything that is below `/api` or `/apis`.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from k8sactors.api.kind import ResourceInfo
from k8sactors.api.release import DEFAULT_RELEASE, minor_version
from k8sactors.api.scheme import Scheme
from k8sactors.apiextensions.kinds import version_priority
from k8sactors.apiserver.subresources import subresources

Object = dict[str, Any]

_SUBRESOURCES: Final = {part.name: part for part in subresources()}
# Subresources that are connected to: what follows the parent's kind in the kind of their options,
# and their verbs.
_CONNECTED: Final = {
    "attach": ("AttachOptions", ("create", "get")),
    "exec": ("ExecOptions", ("create", "get")),
    "log": ("", ("get",)),
    "portforward": ("PortForwardOptions", ("create", "get")),
    "proxy": ("ProxyOptions", ("create", "delete", "get", "patch", "update")),
}
_STORAGE_HASH_BYTES: Final = 8
# The order in which clients look for a name that two groups have; groups that are not listed
# follow by name. Source: kube-apiserver's priorities of API groups.
_GROUP_ORDER: Final = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)
_PLACES: Final = {group: place for place, group in enumerate(_GROUP_ORDER)}


def document(scheme: Scheme, path: str) -> Object | None:
    """The discovery document at `path`; None: there is none."""
    parts = path.strip("/").split("/")
    match parts:
        case ["api"]:
            return {
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [],
            }
        case ["apis"]:
            groups = [_group(group, versions) for group, versions in groups_of(scheme).items()]
            return {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [group for group in groups if group["name"]],
            }
        case ["api", release]:
            return _resources(scheme, release)
        case ["apis", group] if group and group in groups_of(scheme):
            described = _group(group, groups_of(scheme)[group])
            return {"kind": "APIGroup", "apiVersion": "v1", **described}
        case ["apis", group, release]:
            return _resources(scheme, f"{group}/{release}")
        case ["version"]:
            return version()
    return None


def root(scheme: Scheme, pages: list[str]) -> Object:
    """Every path that is not about objects; `pages` are those next to discovery."""
    paths = ["/api", "/apis", "/version", *pages]
    for group, versions in groups_of(scheme).items():
        if group:
            paths.append(f"/apis/{group}")
        paths += [version_path(group, each) for each in versions]
    return {"paths": sorted(paths)}


def version_path(group: str, version: str) -> str:
    """Where a version of a group is served: `/api/v1`, `/apis/apps/v1`."""
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def version() -> Object:
    """The release whose API is served."""
    major, minor = minor_version()
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{DEFAULT_RELEASE}+k8sactors",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "",
        "platform": "python",
    }


def groups_of(scheme: Scheme) -> dict[str, list[str]]:
    """The versions of each group, the preferred one first; "" is the core group."""
    found: dict[str, list[str]] = {}
    for info in scheme.resources():
        versions = found.setdefault(info.group, [])
        if info.version not in versions:
            versions.append(info.version)
    for group, versions in found.items():
        # The order of built-in versions is that of their records.
        if group not in _PLACES:
            versions.sort(key=version_priority)
    last = len(_PLACES)
    return {
        group: found[group]
        for group in sorted(found, key=lambda each: (_PLACES.get(each, last), each))
    }


def _group(group: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{group}/{each}", "version": each} for each in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def resources_of(scheme: Scheme, api_version: str) -> list[ResourceInfo]:
    """The resources of a group version, by name."""
    found = [info for info in scheme.resources() if info.api_version == api_version]
    return sorted(found, key=lambda info: info.plural)


def _resources(scheme: Scheme, api_version: str) -> Object | None:
    found = [entry for info in resources_of(scheme, api_version) for entry in _resource(info)]
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": sorted(found, key=lambda entry: str(entry["name"])),
    }


def _resource(info: ResourceInfo) -> list[Object]:
    entry: Object = {
        "name": info.plural,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": sorted(info.verbs),
        **_names(info),
    }
    if info.stored:
        entry["storageVersionHash"] = _storage_version_hash(info)
    found = [entry]
    for name in info.subresources:
        described = _described_part(info, name)
        if described is not None:
            api_version, kind, verbs = described
            group, _, version = api_version.rpartition("/")
            part: Object = {
                "name": f"{info.plural}/{name}",
                "singularName": "",
                "namespaced": info.namespaced,
                "kind": kind,
                "verbs": verbs,
            }
            if group:
                part |= {"group": group, "version": version}
            found.append(part)
    return found


def _described_part(info: ResourceInfo, name: str) -> tuple[str, str, list[str]] | None:
    """A subresource's own apiVersion ("": its parent's), its kind and its verbs."""
    served = _SUBRESOURCES.get(name)
    if served is not None:
        return served.api_version, served.kind or info.kind, sorted(served.verbs)
    if name in _CONNECTED:
        suffix, verbs = _CONNECTED[name]
        return "", info.kind + suffix, list(verbs)
    return None


def _names(info: ResourceInfo) -> Object:
    names: Object = {}
    if info.short_names:
        names["shortNames"] = list(info.short_names)
    if info.categories:
        names["categories"] = list(info.categories)
    return names


def _storage_version_hash(info: ResourceInfo) -> str:
    """Equal where the objects are stored in the same form."""
    stored = info.record.served[0]
    digest = hashlib.sha256(f"{stored.group}/{stored.version}/{info.kind}".encode()).digest()
    return base64.b64encode(digest[:_STORAGE_HASH_BYTES]).decode()


def aggregated(scheme: Scheme, path: str, api_version: str) -> Object:
    """All groups below `/api` (the core group) or `/apis` (the others) with their resources."""
    core = path.strip("/") == "api"
    items: list[Object] = []
    for group, versions in groups_of(scheme).items():
        if core != (not group):
            continue
        listed = [
            {
                "version": each,
                "resources": _discovered(scheme, f"{group}/{each}" if group else each),
                "freshness": "Current",
            }
            for each in versions
        ]
        metadata: Object = {"creationTimestamp": None}
        if group:
            metadata = {"name": group, **metadata}
        items.append({"metadata": metadata, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": api_version,
        "metadata": {},
        "items": items,
    }


def _discovered(scheme: Scheme, api_version: str) -> list[Object]:
    found: list[Object] = []
    for info in resources_of(scheme, api_version):
        entry: Object = {
            "resource": info.plural,
            "responseKind": _response_kind(info.group, info.version, info.kind),
            "scope": "Namespaced" if info.namespaced else "Cluster",
            "singularResource": info.singular,
            "verbs": sorted(info.verbs),
            **_names(info),
        }
        parts = [_discovered_part(info, name) for name in sorted(info.subresources)]
        if any(parts):
            entry["subresources"] = [part for part in parts if part]
        found.append(entry)
    return found


def _discovered_part(info: ResourceInfo, name: str) -> Object | None:
    described = _described_part(info, name)
    if described is None:
        return None
    api_version, kind, verbs = described
    group, version = info.group, info.version
    if api_version:
        group, _, version = api_version.rpartition("/")
    return {
        "subresource": name,
        "responseKind": _response_kind(group, version, kind),
        "verbs": verbs,
    }


def _response_kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}
