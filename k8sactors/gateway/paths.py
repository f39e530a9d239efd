"""From an HTTP request line to what the API server is asked: verb, resource, names, options.

Source: Kubernetes API concepts ("Standard API terminology", "API verbs", "Resource URIs").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import attrs

from k8sactors.api import errors, scheme
from k8sactors.api.scheme import ResourceInfo
from k8sactors.gateway.discovery import is_stored

WATCH: Final = "watch"
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_OF_NAMESPACES: Final = frozenset({"status", "finalize"})
_TEXTS: Final = frozenset(
    {
        "continue",
        "dryRun",
        "fieldManager",
        "fieldSelector",
        "labelSelector",
        "propagationPolicy",
        "resourceVersion",
        "resourceVersionMatch",
    }
)
_NUMBERS: Final = frozenset({"gracePeriodSeconds", "limit", "timeoutSeconds"})
_SWITCHES: Final = frozenset({"allowWatchBookmarks", "orphanDependents", "watch"})
_TRUE: Final = frozenset({"", "1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


@attrs.frozen
class Target:
    """What a path means. `name` and `namespace` are empty where it has none."""

    info: ResourceInfo
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_target(path: str) -> Target:
    """Understand a path below `/api/v1` or `/apis/GROUP/VERSION`.

    Raises:
        StatusError: 404, nothing is served there.
    """
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api":
        api_version, rest = "/".join(parts[1:2]), parts[2:]
    else:
        api_version, rest = "/".join(parts[1:3]), parts[3:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:  # noqa: PLR2004 - "namespaces", its name, what lies in it
        namespace, rest = rest[1], rest[2:]
    if not rest or not all(rest):
        raise errors.path_not_found()
    plural, name, subresource, *more = [*rest, "", ""]
    if any(more):
        raise errors.path_not_found()
    for info in scheme.resources():
        if info.plural == plural and info.api_version == api_version:
            return Target(info, namespace, name, subresource)
    raise errors.path_not_found()


def parse_options(query: str) -> dict[str, Any]:
    """The options of a request from its query string; unknown ones are ignored, as there.

    Raises:
        StatusError: 400, one of them is no number or no truth value.
    """
    options: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key in _TEXTS:
            options[key] = text
        elif key in _NUMBERS:
            options[key] = _number(key, text)
        elif key in _SWITCHES:
            if text not in _TRUE | _FALSE:
                raise errors.bad_request(f"{key}: invalid value {text!r}: expected true or false")
            options[key] = text in _TRUE
    return options


def _number(key: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise errors.bad_request(f"{key}: invalid value {text!r}: expected a whole number")
    return int(text)


def verb_of(method: str, target: Target, options: Mapping[str, Any]) -> str:
    """The API verb; `WATCH` for a list that is to go on.

    Raises:
        StatusError: 405, nothing can be done that way; 404, the resource is in no namespace.
    """
    if target.namespace and not target.info.namespaced:
        raise errors.path_not_found()
    verb = _verb(method, target, options)
    if verb != "create" and not is_stored(target.info):
        raise errors.method_not_allowed()
    if verb == "create" and target.name and not target.subresource:
        raise errors.method_not_allowed()
    return verb


def _verb(method: str, target: Target, options: Mapping[str, Any]) -> str:
    if method == "GET":
        if options.get("watch") and not target.subresource:
            return WATCH
        return "get" if target.name else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    verb = _VERBS.get(method)
    if verb is None:
        raise errors.method_not_allowed()
    return verb
