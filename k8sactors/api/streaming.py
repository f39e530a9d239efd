"""The streams behind a pod's `log`, `exec`, `attach`, `portforward` and everything's `proxy`.

A client opens one with kind `CONNECT`, payload `[verb, resource, namespace, name, subresource,
options]` and the user as in `protocol`. The API server finds out who has what is asked for and
joins the client's stream with one of its own, to a kubelet (`KUBELET_*`, which opens one to its
container runtime) or to a node's network (`DIAL`). All of them are streams of `actors.stream`, flow
control reaching from end to end, and speak alike:

`OPENED`  the first item from the other end, payload `[content_type]`: it is there. Until then the
          stream may be closed with a trailer that tells why not.
`STDIN`, `STDOUT`, `STDERR`   bytes; logs, proxies and forwarded ports use `STDIN` and `STDOUT`.
`STDIN_CLOSED`  the client sends no more input.
`RESIZE`  `[width, height]` of the client's terminal.

The end is the close of the stream. Its trailer is `[0, status]` for an end in order: of a command,
the encoded Status says how it has ended (Success, or NonZeroExitCode), else it is empty. A failure
is `[code, status]` as in a watch, or `[code, text]` where it comes from a kubelet or a runtime.

Sources: kubelet's streaming API (`pkg/kubelet/server`), `k8s.io/cri-streaming`, KEP-4006.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sactors.api.credentials import Credentials
from k8sactors.api.user import UserInfo

CONNECT: Final = "api.connect"
KUBELET_LOGS: Final = "kubelet.containerLogs"  # [namespace, pod, container, options]
KUBELET_EXEC: Final = "kubelet.exec"  # the same
KUBELET_ATTACH: Final = "kubelet.attach"  # the same
KUBELET_PORT_FORWARD: Final = "kubelet.portForward"  # [namespace, pod, "", {"port": N}]
KUBELET_PROXY: Final = "kubelet.proxy"  # ["", "", "", {"path": ..., "method": ...}]
DIAL: Final = "netns.dial"  # [ip, port]

OPENED: Final = "opened"
STDIN: Final = "stdin"
STDOUT: Final = "stdout"
STDERR: Final = "stderr"
STDIN_CLOSED: Final = "stdin_closed"
RESIZE: Final = "resize"

# What may be under way in one direction of a stream of bytes, at each of its stations.
WINDOW_BYTES: Final = 64 << 10
# What is put into one item.
CHUNK_BYTES: Final = 16 << 10
IN_ORDER: Final = (0, b"")

CONNECT_USER: Final = 6

TEXT: Final = "text/plain"


def connect(
    verb: str,
    resource: str,
    namespace: str | None,
    name: str,
    subresource: str,
    options: Mapping[str, Any],
    user: UserInfo | Credentials | None = None,
) -> list[Any]:
    """The payload of a `CONNECT`; `user` is for authenticating proxies alone."""
    payload: list[Any] = [verb, resource, namespace, name, subresource, dict(options)]
    if user is not None:
        payload.append(user.to_wire())
    return payload
