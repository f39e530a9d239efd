"""What a client that connects asks for, as admission sees it: an object of its own kind."""

from __future__ import annotations

from typing import Any, Final

from k8sactors.apiserver.call import Call

_POD_KINDS: Final = {
    "exec": "PodExecOptions",
    "attach": "PodAttachOptions",
    "portforward": "PodPortForwardOptions",
    "proxy": "PodProxyOptions",
}
_KINDS: Final = {
    **{("pods", subresource): kind for subresource, kind in _POD_KINDS.items()},
    ("services", "proxy"): "ServiceProxyOptions",
    ("nodes", "proxy"): "NodeProxyOptions",
}
_FLAGS: Final = ("stdin", "stdout", "stderr", "tty")


def connect_options(call: Call) -> dict[str, Any] | None:
    """The options object of a call; None: it reads, and does not connect."""
    subresource, given = call.subresource, call.options
    kind = _KINDS.get((call.resource.info.plural, subresource))
    if kind is None:
        return None
    options: dict[str, Any] = {"kind": kind, "apiVersion": "v1"}
    if subresource in {"exec", "attach"}:
        options |= {flag: True for flag in _FLAGS if given.get(flag)}
        options |= {name: given[name] for name in ("container", "command") if given.get(name)}
    elif subresource == "portforward":
        options["ports"] = [given["port"]] if given.get("port") else []
    elif given.get("path"):
        options["path"] = given["path"]
    return options
