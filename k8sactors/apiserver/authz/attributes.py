"""What a request asks for, as authorizers see it (`authorizer.Attributes` in the real server)."""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.api import selectors
from k8sactors.api.errors import SelectorError
from k8sactors.api.protocol import REQUEST_USER
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.call import Call

# A request for one namespace is a request in that namespace.
_NAMESPACES: Final = "namespaces"
_SELECTING: Final = frozenset({"list", "watch", "deletecollection"})


@attrs.frozen
class Attributes:
    """A request for a resource, or for a path when `path` is not empty."""

    user: UserInfo
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    # What a list or a watch is limited to.
    field_selector: str = ""
    label_selector: str = ""
    # Of the API group, "" when it is not known.
    version: str = ""

    @property
    def combined_resource(self) -> str:
        """`pods` or `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def of_call(call: Call) -> Attributes:
    """The attributes of a request that is served."""
    return of_request(
        call.user,
        call.verb,
        call.resource.info,
        call.namespace,
        call.name,
        call.subresource,
        call.options,
    )


def of_request(
    user: UserInfo,
    verb: str,
    info: Any,
    namespace: str,
    name: str,
    subresource: str,
    options: dict[str, Any],
) -> Attributes:
    """The attributes of a request for `info`, a `ResourceInfo`."""
    selecting = verb in _SELECTING
    return Attributes(
        user,
        verb,
        info.group,
        info.plural,
        subresource,
        namespace or own_namespace(info.group, info.plural, name),
        name or selected_name(verb, options),
        "",
        options.get("fieldSelector") or "" if selecting else "",
        options.get("labelSelector") or "" if selecting else "",
        info.version,
    )


def of_access(user: UserInfo, payload: list[Any]) -> Attributes:
    """The attributes in the payload of an `ACCESS`: what the front door has to ask about."""
    _, _, namespace, name, subresource, _, options = payload[:REQUEST_USER]
    verb, group, resource = options["verb"], options["group"], options["resource"]
    return Attributes(user, verb, group, resource, subresource, namespace, name, options["path"])


def own_namespace(group: str, resource: str, name: str) -> str:
    """The namespace that a request for a Namespace is in; "" for every other resource."""
    return name if resource == _NAMESPACES and not group else ""


def selected_name(verb: str, options: dict[str, Any]) -> str:
    """The one name that a list or a watch is limited to; "" when it is not."""
    text = options.get("fieldSelector")
    if not text or verb not in _SELECTING:
        return ""
    try:
        return selectors.parse_field_selector(text).exact("metadata.name") or ""
    except SelectorError:
        # The request is refused for it later.
        return ""
