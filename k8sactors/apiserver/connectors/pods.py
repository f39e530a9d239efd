"""Log, exec, attach and portforward of pods."""

from __future__ import annotations

from typing import Any, Final

from k8sactors.actors.forwarding import Destination
from k8sactors.api import errors, streaming
from k8sactors.api.errors import Cause
from k8sactors.api.meta import parse_time
from k8sactors.apiserver.admission_chain import Cluster
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.connectors.lookups import (
    chosen_container,
    host_of,
    kubelet_endpoint,
    own_object,
)
from k8sactors.apiserver.locations import (
    Location,
    kubelet_url,
    of_command,
    of_forwarded_port,
    of_logs,
)
from k8sactors.simulation import SECOND

_STREAMS: Final = ("All", "Stdout", "Stderr")
_MINIMA: Final = (("limitBytes", 1), ("sinceSeconds", 1), ("tailLines", 0))


def _log(call: Call, _cluster: Cluster) -> Location | None:
    options = _log_options(call)
    pod = own_object(call, call.name)
    container = chosen_container(pod, call.options.get("container") or "")
    node = pod["spec"].get("nodeName")
    if not node:
        return None
    endpoint = kubelet_endpoint(call, node)
    payload = [call.namespace, call.name, container, options]
    destination = Destination(f"{node}/kubelet", streaming.KUBELET_LOGS, payload)
    path = f"containerLogs/{call.namespace}/{call.name}/{container}"
    query = {key: _go_text(value) for key, value in call.options.items() if key != "container"}
    return of_logs(destination, endpoint, kubelet_url(endpoint, path, query), call.name)


def _go_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _log_options(call: Call) -> dict[str, Any]:
    """The options as the kubelet takes them.

    Raises:
        StatusError: 422.
    """
    given = call.options
    causes: list[Cause] = []
    for key, least in _MINIMA:
        value = given.get(key)
        if value is not None and value < least:
            relation = "0" if least == 0 else "1"
            text = f"must be greater than or equal to {relation}"
            causes.append(Cause(key, "FieldValueInvalid", f"Invalid value: {value}: {text}"))
    since_time = given.get("sinceTime")
    if since_time and given.get("sinceSeconds") is not None:
        text = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("", "FieldValueForbidden", f"Forbidden: {text}"))
    stream = given.get("stream") or "All"
    if stream not in _STREAMS:
        supported = ", ".join(f'"{each}"' for each in _STREAMS)
        text = f'Unsupported value: "{stream}": supported values: {supported}'
        causes.append(Cause("stream", "FieldValueNotSupported", text))
    elif stream != "All" and given.get("tailLines") is not None:
        text = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
        causes.append(Cause("tailLines", "FieldValueForbidden", text))
    if causes:
        shown = [f"{each.field}: {each.message}" if each.field else each.message for each in causes]
        text = shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
        raise errors.StatusError(
            422, "Invalid", f'PodLogOptions "{call.name}" is invalid: {text}', causes=causes
        )
    since_ns = 0
    if since_time:
        since_ns = parse_time(since_time)
    elif given.get("sinceSeconds") is not None:
        since_ns = call.environment.wall_ns() - given["sinceSeconds"] * SECOND
    return {
        "follow": bool(given.get("follow")),
        "previous": bool(given.get("previous")),
        "timestamps": bool(given.get("timestamps")),
        "since_ns": since_ns,
        "limit_bytes": given.get("limitBytes"),
        "tail_lines": given.get("tailLines"),
        "stream": stream,
    }


def _exec(call: Call, _cluster: Cluster) -> Location:
    options = _command_options(call)
    command = call.options.get("command") or []
    if not command:
        raise errors.bad_request("you must specify at least one command for the container")
    return _in_container(call, streaming.KUBELET_EXEC, {**options, "command": list(command)})


def _attach(call: Call, _cluster: Cluster) -> Location:
    return _in_container(call, streaming.KUBELET_ATTACH, _command_options(call))


def _command_options(call: Call) -> dict[str, Any]:
    options = {key: bool(call.options.get(key)) for key in ("stdin", "stdout", "stderr", "tty")}
    if options["tty"] and options["stderr"]:
        # The real server: both go to one terminal.
        options["stderr"] = False
    if not (options["stdin"] or options["stdout"] or options["stderr"]):
        raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return options


def _in_container(call: Call, kind: str, options: dict[str, Any]) -> Location:
    pod = own_object(call, call.name)
    container = chosen_container(pod, call.options.get("container") or "")
    node = host_of(pod)
    endpoint = kubelet_endpoint(call, node)
    payload = [call.namespace, call.name, container, options]
    return of_command(Destination(f"{node}/kubelet", kind, payload), endpoint)


def _port_forward(call: Call, _cluster: Cluster) -> Location:
    pod = own_object(call, call.name)
    node = host_of(pod)
    endpoint = kubelet_endpoint(call, node)
    port = call.options.get("port")
    payload = [call.namespace, call.name, "", {"port": port}]
    destination = Destination(f"{node}/kubelet", streaming.KUBELET_PORT_FORWARD, payload)
    make = of_command if port is None else of_forwarded_port
    return make(destination, endpoint)


CONNECTORS: Final = {
    ("pods", "log"): _log,
    ("pods", "exec"): _exec,
    ("pods", "attach"): _attach,
    ("pods", "portforward"): _port_forward,
}
