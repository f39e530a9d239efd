"""The checks of the level `baseline`: no known way to more rights.

Source: Pod Security Standards, "Baseline". Texts are those of the real server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from k8sactors.api.pod_references import containers
from k8sactors.apiserver.pod_security.pods import (
    Fields,
    Violation,
    context,
    contexts,
    named,
    plural,
    quoted,
    setters,
    uses_user_namespace,
    visit,
)

_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_SYSCTLS_1_0: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_syncookies",
    }
)
_SYSCTLS_1_27: Final = _SYSCTLS_1_0 | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_1_29: Final = _SYSCTLS_1_27 | {
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
}
_SYSCTLS_1_32: Final = _SYSCTLS_1_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
_SE_LINUX_1_0: Final = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
_SE_LINUX_1_31: Final = _SE_LINUX_1_0 | {"container_engine_t"}
_SECCOMP: Final = frozenset({"RuntimeDefault", "Localhost"})
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")


def app_armor(pod: Fields) -> Violation | None:
    """No profile weaker than the default of the runtime."""

    def kind(holder: Fields) -> str:
        return (holder.get("appArmorProfile") or {}).get("type") or "RuntimeDefault"

    allowed = {"RuntimeDefault", "Localhost"}
    found = setters(pod["spec"], lambda each: kind(each) not in allowed)
    values = {kind(each) for each in contexts(pod["spec"])} - allowed
    annotations = []
    for key, value in sorted((pod["metadata"].get("annotations") or {}).items()):
        fine = value in {"", "runtime/default"} or value.startswith("localhost/")
        if key.startswith(_APP_ARMOR) and not fine:
            annotations.append(f"{key}={quoted([value])}")
    if not found and not annotations:
        return None
    details = []
    if found:
        details.append(f"{found} must not set AppArmor profile type to {quoted(sorted(values))}")
    if annotations:
        details.append(f"{plural('annotation', len(annotations))} {', '.join(annotations)}")
    count = int(found.pod) + len(found.names) + len(annotations)
    return Violation(plural("forbidden AppArmor profile", count), " and ".join(details))


def capabilities(pod: Fields) -> Violation | None:
    """None but the default ones."""
    bad: dict[str, None] = {}

    def adds(container: Fields) -> bool:
        added = (context(container).get("capabilities") or {}).get("add") or ()
        forbidden = [name for name in added if name not in _CAPABILITIES]
        bad.update(dict.fromkeys(forbidden))
        return bool(forbidden)

    names = visit(pod["spec"], adds)
    if not names:
        return None
    detail = (
        f"{named('container', names)} must not include {quoted(sorted(bad))} in "
        "securityContext.capabilities.add"
    )
    return Violation("non-default capabilities", detail)


def host_namespaces(pod: Fields) -> Violation | None:
    """No namespace of the node."""
    fields = ("hostNetwork", "hostPID", "hostIPC")
    found = [f"{field}=true" for field in fields if pod["spec"].get(field)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def host_path_volumes(pod: Fields) -> Violation | None:
    """No directory of the node."""
    volumes = pod["spec"].get("volumes") or ()
    names = [each["name"] for each in volumes if each.get("hostPath") is not None]
    return Violation("hostPath volumes", named("volume", names)) if names else None


def host_ports(pod: Fields) -> Violation | None:
    """No port of the node."""
    ports: dict[str, None] = {}

    def has_port(container: Fields) -> bool:
        found = [each["hostPort"] for each in container.get("ports") or () if each.get("hostPort")]
        ports.update(dict.fromkeys(str(port) for port in found))
        return bool(found)

    names = visit(pod["spec"], has_port)
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    listed = ", ".join(sorted(ports, key=str))
    return Violation(
        "hostPort", f"{named('container', names)} {uses} {plural('hostPort', len(ports))} {listed}"
    )


def host_probes(pod: Fields) -> Violation | None:
    """No probe or hook that is sent to another host."""
    hosts: dict[str, None] = {}

    def handlers(container: Fields) -> Iterator[Any]:
        for probe in _PROBES:
            yield container.get(probe)
        lifecycle = container.get("lifecycle") or {}
        yield lifecycle.get("postStart")
        yield lifecycle.get("preStop")

    def has_host(container: Fields) -> bool:
        found = [
            (handler.get(action) or {}).get("host")
            for handler in handlers(container)
            if handler
            for action in ("httpGet", "tcpSocket")
        ]
        given = [host for host in found if host]
        hosts.update(dict.fromkeys(given))
        return bool(given)

    names = sorted(visit(pod["spec"], has_host))
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    what = plural("probe or lifecycle host", len(hosts))
    detail = f"{named('container', names)} {uses} {what} {quoted(sorted(hosts))}"
    return Violation("probe or lifecycle host", detail)


def privileged(pod: Fields) -> Violation | None:
    """No container that may do everything."""
    names = visit(pod["spec"], lambda each: bool(context(each).get("privileged")))
    if not names:
        return None
    detail = f"{named('container', names)} must not set securityContext.privileged=true"
    return Violation("privileged", detail)


def proc_mount(pod: Fields) -> Violation | None:
    """The masked /proc."""

    def value(container: Fields) -> str:
        return context(container).get("procMount") or "Default"

    names = visit(pod["spec"], lambda each: value(each) != "Default")
    if not names:
        return None
    values = {value(each) for each in containers(pod["spec"])} - {"Default"}
    detail = (
        f"{named('container', names)} must not set securityContext.procMount to "
        f"{quoted(sorted(values))}"
    )
    return Violation("procMount", detail)


def proc_mount_1_35(pod: Fields) -> Violation | None:
    """As before, except in a user namespace."""
    return None if uses_user_namespace(pod["spec"]) else proc_mount(pod)


def _se_linux(pod: Fields, allowed: frozenset[str]) -> Violation | None:
    def options(holder: Fields) -> Fields:
        found: Fields = holder.get("seLinuxOptions") or {}
        return found

    def is_bad(holder: Fields) -> bool:
        given = options(holder)
        return (given.get("type") or "") not in allowed or bool(
            given.get("user") or given.get("role")
        )

    found = setters(pod["spec"], is_bad)
    if not found:
        return None
    given = [options(each) for each in contexts(pod["spec"])]
    types = {each.get("type") or "" for each in given} - allowed
    details = []
    if types:
        details.append(f"{plural('type', len(types))} {quoted(sorted(types))}")
    details += [
        f"{field} may not be set"
        for field in ("user", "role")
        if any(each.get(field) for each in given)
    ]
    return Violation(
        "seLinuxOptions",
        f"{found} set forbidden securityContext.seLinuxOptions: {'; '.join(details)}",
    )


def se_linux_1_0(pod: Fields) -> Violation | None:
    """Only the types of containers."""
    return _se_linux(pod, _SE_LINUX_1_0)


def se_linux_1_31(pod: Fields) -> Violation | None:
    """As before, and container engines."""
    return _se_linux(pod, _SE_LINUX_1_31)


def seccomp_1_19(pod: Fields) -> Violation | None:
    """No profile weaker than the default of the runtime."""

    def kind(holder: Fields) -> str:
        return (holder.get("seccompProfile") or {}).get("type") or "RuntimeDefault"

    found = setters(pod["spec"], lambda each: kind(each) not in _SECCOMP)
    if not found:
        return None
    values = {kind(each) for each in contexts(pod["spec"])} - _SECCOMP
    detail = f"{found} must not set securityContext.seccompProfile.type to {quoted(sorted(values))}"
    return Violation("seccompProfile", detail)


def seccomp_1_0(pod: Fields) -> Violation | None:
    """The same, in the annotations that came before the field."""
    annotations = pod["metadata"].get("annotations") or {}
    keys = ["seccomp.security.alpha.kubernetes.io/pod"]
    keys += [
        f"container.seccomp.security.alpha.kubernetes.io/{each['name']}"
        for each in containers(pod["spec"])
    ]
    bad = sorted(
        {
            f"{key}={quoted([annotations[key]])}"
            for key in keys
            if key in annotations
            and annotations[key] not in {"runtime/default", "docker/default"}
            and not annotations[key].startswith("localhost/")
        }
    )
    if not bad:
        return None
    what = plural("annotation", len(bad))
    return Violation("seccompProfile", f"forbidden {what} {', '.join(bad)}")


def _sysctls(pod: Fields, allowed: frozenset[str]) -> Violation | None:
    given = [each.get("name") for each in context(pod["spec"]).get("sysctls") or ()]
    bad = [str(name) for name in given if name not in allowed]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def sysctls_1_0(pod: Fields) -> Violation | None:
    """Only what belongs to the namespaces of the pod."""
    return _sysctls(pod, _SYSCTLS_1_0)


def sysctls_1_27(pod: Fields) -> Violation | None:
    """As before, and reserved ports."""
    return _sysctls(pod, _SYSCTLS_1_27)


def sysctls_1_29(pod: Fields) -> Violation | None:
    """As before, and timeouts of TCP."""
    return _sysctls(pod, _SYSCTLS_1_29)


def sysctls_1_32(pod: Fields) -> Violation | None:
    """As before, and buffers of TCP."""
    return _sysctls(pod, _SYSCTLS_1_32)


def windows_host_process(pod: Fields) -> Violation | None:
    """No process of the node on Windows."""
    found = setters(
        pod["spec"], lambda each: bool((each.get("windowsOptions") or {}).get("hostProcess"))
    )
    if not found:
        return None
    detail = f"{found} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", detail)
