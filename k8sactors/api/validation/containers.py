"""Rules for containers: ports, environment, mounts, probes, hooks, security."""

from __future__ import annotations

import re
from collections.abc import Container as Contains
from collections.abc import Iterable

from k8sactors.api.validation import names
from k8sactors.api.validation.fields import (
    Causes,
    Object,
    check_not_negative,
    check_one_of,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from k8sactors.api.validation.resources import check_resources

PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBE_NUMBERS = (
    "failureThreshold",
    "initialDelaySeconds",
    "periodSeconds",
    "successThreshold",
    "timeoutSeconds",
)
_FIELD_PATHS = {
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
}
_FIELD_WITH_KEY = re.compile(r"metadata\.(annotations|labels)\['(.+)'\]")
_ID_MAX = 2**31 - 1
_USERS = ("runAsUser", "runAsGroup")


def _check_ports(ports: list[Object], path: str, causes: Causes) -> None:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at = f"{path}[{index}]"
        if name := port.get("name"):
            complaints = names.port_name(name)
            for complaint in complaints:
                causes.append(invalid(f"{at}.name", name, complaint))
            if not complaints and name in seen:
                causes.append(duplicate(f"{at}.name", name))
            seen.add(name)
        number = port.get("containerPort")
        if not number:
            causes.append(required(f"{at}.containerPort"))
        elif not names.is_port(number):
            causes.append(invalid(f"{at}.containerPort", number, names.PORT_MESSAGE))
        host = port.get("hostPort")
        if host and not names.is_port(host):
            causes.append(invalid(f"{at}.hostPort", host, names.PORT_MESSAGE))
        protocol = port.get("protocol")
        if not protocol:
            causes.append(required(f"{at}.protocol"))
        elif protocol not in PROTOCOLS:
            causes.append(not_supported(f"{at}.protocol", protocol, PROTOCOLS))


def check_field_path(field_path: str, path: str, causes: Causes) -> None:
    """The part of the pod that the downward API is asked for."""
    if not field_path:
        causes.append(required(path))
    elif field_path not in _FIELD_PATHS:
        match = _FIELD_WITH_KEY.fullmatch(field_path)
        if match is None:
            detail = f"error converting fieldPath: field label not supported: {field_path}"
            causes.append(invalid(path, field_path, detail))
        else:
            for complaint in names.qualified_name(match.group(2).lower()):
                causes.append(invalid(path, match.group(2), complaint))


def _check_env_source(variable: Object, at: str, causes: Causes) -> None:
    source = variable["valueFrom"]
    path = f"{at}.valueFrom"
    given = [name for name in _ENV_SOURCES if source.get(name) is not None]
    if not given:
        causes.append(invalid(path, "", f"must specify one of: {_listed(_ENV_SOURCES)}"))
    elif variable.get("value"):
        causes.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        detail = "may not have more than one field specified at a time"
        causes.append(invalid(path, "", detail))
    for name in given:
        reference = source[name]
        inner = f"{path}.{name}"
        if name == "fieldRef":
            check_field_path(reference.get("fieldPath") or "", f"{inner}.fieldPath", causes)
        elif name == "resourceFieldRef":
            if not reference.get("resource"):
                causes.append(required(f"{inner}.resource"))
        elif not reference.get("key"):
            causes.append(required(f"{inner}.key"))
        else:
            for complaint in names.config_key(reference["key"]):
                causes.append(invalid(f"{inner}.key", reference["key"], complaint))


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _check_env(variables: list[Object], path: str, causes: Causes) -> None:
    for index, variable in enumerate(variables):
        name = variable.get("name")
        at = f"{path}[{index}]"
        if not name:
            causes.append(required(f"{at}.name"))
        else:
            for complaint in names.env_name(name):
                causes.append(invalid(f"{at}.name", name, complaint))
        if variable.get("valueFrom") is not None:
            _check_env_source(variable, at, causes)


def _check_mounts(mounts: list[Object], volumes: Contains[str], path: str, causes: Causes) -> None:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        at = f"{path}[{index}]"
        name, where = mount.get("name"), mount.get("mountPath")
        if not name:
            causes.append(required(f"{at}.name"))
        elif name not in volumes:
            causes.append(not_found(f"{at}.name", name))
        if not where:
            causes.append(required(f"{at}.mountPath"))
        elif where in seen:
            causes.append(invalid(f"{at}.mountPath", where, "must be unique"))
        else:
            seen.add(where)
        sub_path = mount.get("subPath")
        if sub_path:
            if sub_path.startswith("/"):
                causes.append(invalid(f"{at}.subPath", sub_path, "must be a relative path"))
            if ".." in sub_path.split("/"):
                causes.append(invalid(f"{at}.subPath", sub_path, "must not contain '..'"))


def _check_port_reference(port: object, path: str, causes: Causes) -> None:
    if isinstance(port, int):
        if not names.is_port(port):
            causes.append(invalid(path, port, names.PORT_MESSAGE))
    elif not port:
        causes.append(required(path))
    else:
        for complaint in names.port_name(str(port)):
            causes.append(invalid(path, port, complaint))


def _check_handler(handler: Object, path: str, causes: Causes) -> None:
    given = [name for name in _HANDLERS if handler.get(name) is not None]
    if not given:
        causes.append(required(path, "must specify a handler type"))
        return
    for name in given[1:]:
        causes.append(forbidden(f"{path}.{name}", "may not specify more than 1 handler type"))
    name = given[0]
    action, at = handler[name], f"{path}.{name}"
    if name == "exec":
        if not action.get("command"):
            causes.append(required(f"{at}.command"))
    elif name in {"httpGet", "tcpSocket", "grpc"}:
        _check_port_reference(action.get("port"), f"{at}.port", causes)
        if name == "httpGet":
            if not action.get("path"):
                causes.append(required(f"{at}.path"))
            check_one_of(action, "scheme", ("HTTP", "HTTPS"), at, causes)


def _check_probe(probe: Object, path: str, causes: Causes, *, only_one_success: bool) -> None:
    _check_handler(probe, path, causes)
    check_not_negative(probe, _PROBE_NUMBERS, path, causes)
    if only_one_success and probe.get("successThreshold", 1) > 1:
        value = probe["successThreshold"]
        causes.append(invalid(f"{path}.successThreshold", value, "must be 1"))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        causes.append(
            invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")
        )


def _check_security(context: Object, path: str, causes: Causes) -> None:
    check_user_ids(context, path, causes)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            causes.append(invalid(path, context, detail))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            detail = (
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                "CAP_SYS_ADMIN"
            )
            causes.append(invalid(path, context, detail))


def check_user_ids(context: Object, path: str, causes: Causes) -> None:
    """User and group ids of a security context."""
    for name in _USERS:
        value = context.get(name)
        if value is not None and not 0 <= value <= _ID_MAX:
            detail = f"must be between 0 and {_ID_MAX}, inclusive"
            causes.append(invalid(f"{path}.{name}", value, detail))


def _check_container(container: Object, volumes: Contains[str], path: str, causes: Causes) -> None:
    image = container.get("image")
    if not image:
        causes.append(required(f"{path}.image"))
    elif image != image.strip():
        detail = "must not have leading or trailing whitespace"
        causes.append(invalid(f"{path}.image", image, detail))
    if container.get("imagePullPolicy") not in _PULL_POLICIES:
        at = f"{path}.imagePullPolicy"
        policy = container.get("imagePullPolicy")
        causes.append(not_supported(at, policy, _PULL_POLICIES) if policy else required(at))
    policy = container.get("terminationMessagePolicy")
    if policy not in _MESSAGE_POLICIES:
        at = f"{path}.terminationMessagePolicy"
        detail = "must be 'File' or 'FallbackToLogsOnError'"
        causes.append(invalid(at, policy, detail) if policy else required(at))
    if ports := container.get("ports"):
        _check_ports(ports, f"{path}.ports", causes)
    if variables := container.get("env"):
        _check_env(variables, f"{path}.env", causes)
    if mounts := container.get("volumeMounts"):
        _check_mounts(mounts, volumes, f"{path}.volumeMounts", causes)
    if resources := container.get("resources"):
        check_resources(resources, f"{path}.resources", causes)
    if context := container.get("securityContext"):
        _check_security(context, f"{path}.securityContext", causes)
    _check_probes_and_hooks(container, path, causes)


def _check_probes_and_hooks(container: Object, path: str, causes: Causes) -> None:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(name)) is not None:
            only_one = name != "readinessProbe"
            _check_probe(probe, f"{path}.{name}", causes, only_one_success=only_one)
    if lifecycle := container.get("lifecycle"):
        for name, handler in lifecycle.items():
            if isinstance(handler, dict):
                _check_handler(handler, f"{path}.lifecycle.{name}", causes)


def check_containers(
    containers: list[Object],
    volumes: Contains[str],
    path: str,
    causes: Causes,
    *,
    taken: set[str],
) -> None:
    """One list of a pod's containers; `taken` holds names used so far in the pod."""
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        name = container.get("name")
        if not name:
            causes.append(required(f"{at}.name"))
        elif complaints := names.dns1123_label(name):
            for complaint in complaints:
                causes.append(invalid(f"{at}.name", name, complaint))
        elif name in taken:
            causes.append(duplicate(f"{at}.name", name))
        else:
            taken.add(name)
        _check_container(container, volumes, at, causes)


def check_host_ports(spec: Object, path: str, causes: Causes) -> None:
    """On the host's network a container port is a host port, and each can be used only once."""
    seen: dict[tuple[object, object, object], None] = {}
    for index, container in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort")
            at = f"{path}.containers[{index}].ports[{number}]"
            if spec.get("hostNetwork") and host != port.get("containerPort"):
                detail = "must match `hostPort` when `hostNetwork` is true"
                causes.append(invalid(f"{at}.containerPort", port.get("containerPort"), detail))
            if not host:
                continue
            key = (port.get("protocol"), port.get("hostIP"), host)
            if key in seen:
                text = f"{key[0]}/{key[1] or ''}/{host}"
                causes.append(duplicate(f"{at}.hostPort", text))
            seen[key] = None
