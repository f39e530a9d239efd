"""From an HTTP request line to what the API server is asked: verb, resource, names, options.

Source: Kubernetes API concepts ("Standard API terminology", "API verbs", "Resource URIs").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import attrs

from k8sactors.api import errors
from k8sactors.api.scheme import ResourceInfo, Scheme

WATCH: Final = "watch"
CONNECT: Final = "connect"
# What lies behind this subresource is a path of the target's own.
PROXY: Final = "proxy"
_OWN_PARTS: Final = 3
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch"}
# The word of the path in front of a namespace; also where namespaces themselves are served.
IN_NAMESPACE: Final = "namespaces"
_TEXTS: Final = frozenset(
    {
        "continue",
        "dryRun",
        "fieldManager",
        "fieldSelector",
        "fieldValidation",
        "includeObject",
        "labelSelector",
        "propagationPolicy",
        "resourceVersion",
        "resourceVersionMatch",
    }
)
_NUMBERS: Final = frozenset({"gracePeriodSeconds", "limit", "timeoutSeconds"})
_SWITCHES: Final = frozenset(
    {"allowWatchBookmarks", "force", "orphanDependents", "sendInitialEvents", "watch"}
)
TRUE_TEXTS: Final = frozenset({"", "1", "t", "T", "true", "TRUE", "True"})
FALSE_TEXTS: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


@attrs.frozen
class Target:
    """What a path means. `name` and `namespace` are empty where it has none."""

    info: ResourceInfo
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_target(scheme: Scheme, path: str) -> Target:
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
    match rest:
        case [word, name, part, *_] if word == IN_NAMESPACE and not _has(scheme, api_version, part):
            namespace, rest = name, rest[2:]
    if not rest or not all(rest[:_OWN_PARTS]):
        raise errors.path_not_found()
    plural, name, subresource, *more = [*rest, "", ""]
    if any(more) and subresource != PROXY:
        raise errors.path_not_found()
    info = scheme.at_path(api_version, plural)
    if info is None:
        raise errors.path_not_found()
    return Target(info, namespace, name, subresource)


def _has(scheme: Scheme, api_version: str, part: str) -> bool:
    """Whether this is a part of a namespace itself, and nothing that lies in it."""
    info = scheme.at_path(api_version, IN_NAMESPACE)
    return info is not None and part in info.subresources


MAX_NUMBER: Final = 1 << 63
MAX_DIGITS: Final = 40


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
            if text not in TRUE_TEXTS | FALSE_TEXTS:
                raise errors.bad_request(f"{key}: invalid value {text!r}: expected true or false")
            options[key] = text in TRUE_TEXTS
    return options


def _number(key: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise errors.bad_request(f"{key}: invalid value {text!r}: expected a whole number")
    # As it is parsed there: into 64 bits. So many digits are not even looked at.
    if len(digits) > MAX_DIGITS or not -MAX_NUMBER <= (number := int(text)) < MAX_NUMBER:
        text = f"strconv.ParseInt: parsing {text[:MAX_DIGITS]!r}: value out of range"
        raise errors.bad_request(f"{key}: {text}")
    return number


def verb_of(method: str, target: Target, options: Mapping[str, Any]) -> str:
    """The API verb; `WATCH` for a list that is to continue.

    Raises:
        StatusError: 405, nothing can be done that way; 404, the resource is in no namespace.
    """
    if target.namespace and not target.info.namespaced:
        raise errors.path_not_found()
    verb = _verb(method, target, options)
    if not target.subresource and verb not in target.info.verbs:
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
