"""What can be asked of the API, made from the scheme: every path, its methods and parameters.

Source: Kubernetes API concepts ("Resource URIs", "API verbs"), and the documents of kube-apiserver
for the names of operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from k8sactors.api.kind import ResourceInfo
from k8sactors.apiserver.subresources import subresources
from k8sactors.gateway.discovery import version_path

Object = dict[str, Any]

_SUBRESOURCES: Final = {part.name: part for part in subresources()}


@attrs.frozen
class Parameter:
    """A parameter of the query or of the path."""

    name: str
    type: str
    description: str
    place: str = "query"


def _text(name: str, description: str) -> Parameter:
    return Parameter(name, "string", description)


NAME: Final = Parameter("name", "string", "name of the object", "path")
NAMESPACE: Final = Parameter(
    "namespace", "string", "object name and auth scope, such as for teams and projects", "path"
)
_DRY_RUN: Final = _text(
    "dryRun", "When present, indicates that modifications should not be persisted: All."
)
_MANAGER: Final = _text(
    "fieldManager", "The name associated with the actor or entity that is making these changes."
)
_VALIDATION: Final = _text(
    "fieldValidation",
    "What the server does with unknown or duplicate fields: Ignore, Warn or Strict.",
)
_FORCE: Final = Parameter(
    "force", "boolean", "Take over the fields that other managers own when applying."
)
_SELECTION: Final = (
    Parameter("allowWatchBookmarks", "boolean", "Send bookmarks in a watch."),
    _text("continue", "The position in a list that was read in part."),
    _text("fieldSelector", "A selector to restrict the list of returned objects by their fields."),
    _text("labelSelector", "A selector to restrict the list of returned objects by their labels."),
    Parameter("limit", "integer", "The maximum number of objects that one answer holds."),
    _text("resourceVersion", "A constraint on the resource versions a request may be served from."),
    _text("resourceVersionMatch", "How resourceVersion is applied to list calls."),
    Parameter("timeoutSeconds", "integer", "Timeout for the call, whatever it has brought."),
)
_WATCH: Final = Parameter("watch", "boolean", "Send every change as an event.")
_DELETION: Final = (
    _DRY_RUN,
    Parameter("gracePeriodSeconds", "integer", "The seconds before the object is deleted."),
    Parameter("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    _text("propagationPolicy", "Orphan, Background or Foreground."),
)
_WRITING: Final = (_DRY_RUN, _MANAGER, _VALIDATION)
_READING: Final = (
    _text("resourceVersion", "A constraint on the resource versions a request may be served from."),
)


@attrs.frozen
class Action:
    """How a verb of the API is written in HTTP and in a document."""

    method: str
    # As in `x-kubernetes-action`.
    name: str
    # How the names of its operations begin.
    prefix: str
    parameters: tuple[Parameter, ...]
    codes: tuple[int, ...]


_LIST: Final = Action("get", "list", "list", (*_SELECTION, _WATCH), (200,))
_CREATE: Final = Action("post", "post", "create", _WRITING, (200, 201, 202))
_DELETE_MANY: Final = Action("delete", "deletecollection", "delete", _DELETION, (200,))
_COLLECTION: Final = {"list": _LIST, "create": _CREATE, "deletecollection": _DELETE_MANY}
_ITEM: Final = {
    "get": Action("get", "get", "read", _READING, (200,)),
    "update": Action("put", "put", "replace", _WRITING, (200, 201)),
    "patch": Action("patch", "patch", "patch", (*_WRITING, _FORCE), (200, 201)),
    "delete": Action("delete", "delete", "delete", _DELETION, (200, 202)),
}
_PART: Final = {**_ITEM, "create": _CREATE}


@attrs.frozen
class Operation:
    """One thing that can be asked of a resource or of one of its subresources."""

    info: ResourceInfo
    action: Action
    path: str
    # In words that are unique in a document: `readCoreV1NamespacedPod`.
    name: str
    # The version and kind of the objects that travel.
    api_version: str
    kind: str
    subresource: str = ""

    @property
    def identity(self) -> Object:
        """What it is about: group, version, kind."""
        group, _, version = self.api_version.rpartition("/")
        return {"group": group, "version": version, "kind": self.kind}

    @property
    def path_parameters(self) -> tuple[Parameter, ...]:
        """The variable parts of the path."""
        return tuple(each for each in (NAME, NAMESPACE) if f"{{{each.name}}}" in self.path)

    @property
    def tag(self) -> str:
        """The group version that it belongs to, in one word: `core_v1`."""
        words = _group_words(self.info.group)
        return f"{words[:1].lower()}{words[1:]}_{self.info.version}"


def operations(info: ResourceInfo) -> Iterator[Operation]:
    """All operations of a resource, in the order of their paths."""
    base = version_path(info.group, info.version)
    scope = "Namespaced" if info.namespaced else ""
    if info.namespaced and "list" in info.verbs:
        name = _name(info, _LIST, "", f"{info.kind}ForAllNamespaces")
        yield Operation(info, _LIST, f"{base}/{info.plural}", name, info.api_version, info.kind)
    place = f"{base}/namespaces/{{namespace}}" if info.namespaced else base
    collection = f"{place}/{info.plural}"
    for verb, action in _COLLECTION.items():
        if verb in info.verbs:
            middle = f"Collection{scope}" if action is _DELETE_MANY else scope
            name = _name(info, action, middle, info.kind)
            yield Operation(info, action, collection, name, info.api_version, info.kind)
    item = f"{collection}/{{name}}"
    for verb, action in _ITEM.items():
        if verb in info.verbs:
            name = _name(info, action, scope, info.kind)
            yield Operation(info, action, item, name, info.api_version, info.kind)
    for part in sorted(info.subresources):
        yield from _part_operations(info, part, f"{item}/{part}", scope)


def _part_operations(info: ResourceInfo, part: str, path: str, scope: str) -> Iterator[Operation]:
    served = _SUBRESOURCES.get(part)
    if served is None:
        return
    for verb, action in _PART.items():
        if verb in served.verbs:
            name = _name(info, action, scope, f"{info.kind}{part[:1].upper()}{part[1:]}")
            api_version = served.api_version or info.api_version
            yield Operation(info, action, path, name, api_version, served.kind or info.kind, part)


def _name(info: ResourceInfo, action: Action, middle: str, kind: str) -> str:
    version = info.version[:1].upper() + info.version[1:]
    return f"{action.prefix}{_group_words(info.group)}{version}{middle}{kind}"


def _group_words(group: str) -> str:
    """`RbacAuthorization` for `rbac.authorization.k8s.io`."""
    words = group.removesuffix(".k8s.io").split(".") if group else ["core"]
    return "".join(word[:1].upper() + word[1:] for word in words)
