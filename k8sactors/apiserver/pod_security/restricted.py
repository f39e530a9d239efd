"""The checks of the level `restricted`: what hardened pods do next to `baseline`.

Source: Pod Security Standards, "Restricted". Texts are those of the real server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sactors.apiserver.pod_security.pods import (
    Fields,
    Setters,
    Violation,
    context,
    contexts,
    is_windows,
    named,
    plural,
    quoted,
    setters,
    uses_user_namespace,
    visit,
)

_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SECCOMP: Final = frozenset({"RuntimeDefault", "Localhost"})
_BIND: Final = "NET_BIND_SERVICE"


def allow_privilege_escalation_1_8(pod: Fields) -> Violation | None:
    """No process gets more rights than its parent."""
    names = visit(
        pod["spec"], lambda each: context(each).get("allowPrivilegeEscalation") is not False
    )
    if not names:
        return None
    detail = f"{named('container', names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail)


def allow_privilege_escalation_1_25(pod: Fields) -> Violation | None:
    """As before, except on Windows."""
    return None if is_windows(pod["spec"]) else allow_privilege_escalation_1_8(pod)


def capabilities_1_22(pod: Fields) -> Violation | None:
    """None but the one for low ports."""
    added: dict[str, None] = {}

    def keeps(container: Fields) -> bool:
        dropped = (context(container).get("capabilities") or {}).get("drop") or ()
        return "ALL" not in dropped

    def adds(container: Fields) -> bool:
        given = (context(container).get("capabilities") or {}).get("add") or ()
        bad = [name for name in given if name != _BIND]
        added.update(dict.fromkeys(bad))
        return bool(bad)

    details = []
    missing = visit(pod["spec"], keeps)
    if missing:
        details.append(
            f'{named("container", missing)} must set securityContext.capabilities.drop=["ALL"]'
        )
    adding = visit(pod["spec"], adds)
    if adding:
        details.append(
            f"{named('container', adding)} must not include {quoted(sorted(added))} in "
            "securityContext.capabilities.add"
        )
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def capabilities_1_25(pod: Fields) -> Violation | None:
    """As before, except on Windows."""
    return None if is_windows(pod["spec"]) else capabilities_1_22(pod)


def volumes(pod: Fields) -> Violation | None:
    """No volume of a kind that an administrator must set up."""
    names, kinds = [], {}
    for volume in pod["spec"].get("volumes") or ():
        sources = [key for key in volume if key != "name"]
        if not _VOLUMES.intersection(sources):
            names.append(volume["name"])
            kinds.update(dict.fromkeys(sources or ["unknown"]))
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    what = plural("restricted volume type", len(kinds))
    detail = f"{named('volume', names)} {uses} {what} {quoted(sorted(kinds))}"
    return Violation("restricted volume types", detail)


def _required(
    pod: Fields, value: Callable[[Fields], Any], allowed: Callable[[Any], bool]
) -> tuple[Setters, list[str]]:
    """Who sets a bad value, and which containers have none, neither of their own nor the pod's."""
    spec = pod["spec"]
    bad = setters(spec, lambda each: value(each) is not None and not allowed(value(each)))
    inherited = value(context(spec)) is not None and allowed(value(context(spec)))
    open_ones = [] if inherited else visit(spec, lambda each: value(context(each)) is None)
    return bad, open_ones


def run_as_non_root(pod: Fields) -> Violation | None:
    """No process of root."""
    bad, open_ones = _required(
        pod, lambda each: each.get("runAsNonRoot"), lambda value: value is True
    )
    if bad:
        text = f"{bad} must not set securityContext.runAsNonRoot=false"
    elif open_ones:
        text = f"pod or {named('container', open_ones)} must set securityContext.runAsNonRoot=true"
    else:
        return None
    return Violation("runAsNonRoot != true", text)


def run_as_non_root_1_35(pod: Fields) -> Violation | None:
    """As before, except in a user namespace."""
    return None if uses_user_namespace(pod["spec"]) else run_as_non_root(pod)


def run_as_user(pod: Fields) -> Violation | None:
    """No user 0."""
    found = setters(pod["spec"], lambda each: each.get("runAsUser") == 0)
    return Violation("runAsUser=0", f"{found} must not set runAsUser=0") if found else None


def run_as_user_1_35(pod: Fields) -> Violation | None:
    """As before, except in a user namespace."""
    return None if uses_user_namespace(pod["spec"]) else run_as_user(pod)


def seccomp_1_19(pod: Fields) -> Violation | None:
    """A profile, by the pod or by each container."""
    bad, open_ones = _required(
        pod,
        lambda each: (each.get("seccompProfile") or {}).get("type"),
        lambda value: value in _SECCOMP,
    )
    if bad:
        values = {
            (each.get("seccompProfile") or {}).get("type") or "" for each in contexts(pod["spec"])
        } - {*_SECCOMP, ""}
        text = f"{bad} must not set securityContext.seccompProfile.type to {quoted(sorted(values))}"
    elif open_ones:
        text = (
            f"pod or {named('container', open_ones)} must set "
            'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        )
    else:
        return None
    return Violation("seccompProfile", text)


def seccomp_1_25(pod: Fields) -> Violation | None:
    """As before, except on Windows."""
    return None if is_windows(pod["spec"]) else seccomp_1_19(pod)
