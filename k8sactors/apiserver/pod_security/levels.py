"""Levels and versions, and which checks a pod must pass at each.

Source: Pod Security Standards, and KEP-2579. A check belongs to a level and changes with releases:
a namespace that names a version keeps the checks of that release.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from k8sactors.apiserver.pod_security import baseline, restricted
from k8sactors.apiserver.pod_security.pods import Fields, Violation

Check = Callable[[Fields], Violation | None]

PRIVILEGED: Final = "privileged"
BASELINE: Final = "baseline"
RESTRICTED: Final = "restricted"
LEVELS: Final = (PRIVILEGED, BASELINE, RESTRICTED)
LATEST: Final = "latest"
MODES: Final = ("enforce", "audit", "warn")
PREFIX: Final = "pod-security.kubernetes.io/"
_NEWEST: Final = 1_000_000
_VERSION: Final = re.compile(r"v1\.(0|[1-9][0-9]*)")


class _Versions(NamedTuple):
    """A check by the minor release from which on it holds; `overrides` leaves another one out."""

    level: str
    name: str
    since: Mapping[int, Check]
    overrides: str = ""


# By name, as violations are listed.
_CHECKS: Final = (
    _Versions(
        RESTRICTED,
        "allowPrivilegeEscalation",
        {
            8: restricted.allow_privilege_escalation_1_8,
            25: restricted.allow_privilege_escalation_1_25,
        },
    ),
    _Versions(BASELINE, "appArmorProfile", {0: baseline.app_armor}),
    _Versions(BASELINE, "capabilities_baseline", {0: baseline.capabilities}),
    _Versions(
        RESTRICTED,
        "capabilities_restricted",
        {22: restricted.capabilities_1_22, 25: restricted.capabilities_1_25},
        "capabilities_baseline",
    ),
    _Versions(BASELINE, "hostNamespaces", {0: baseline.host_namespaces}),
    _Versions(BASELINE, "hostPathVolumes", {0: baseline.host_path_volumes}),
    _Versions(BASELINE, "hostPorts", {0: baseline.host_ports}),
    _Versions(BASELINE, "hostProbesAndHostLifecycle", {34: baseline.host_probes}),
    _Versions(BASELINE, "privileged", {0: baseline.privileged}),
    _Versions(BASELINE, "procMount", {0: baseline.proc_mount, 35: baseline.proc_mount_1_35}),
    _Versions(RESTRICTED, "restrictedVolumes", {0: restricted.volumes}, "hostPathVolumes"),
    _Versions(
        RESTRICTED,
        "runAsNonRoot",
        {0: restricted.run_as_non_root, 35: restricted.run_as_non_root_1_35},
    ),
    _Versions(
        RESTRICTED, "runAsUser", {23: restricted.run_as_user, 35: restricted.run_as_user_1_35}
    ),
    _Versions(BASELINE, "seLinuxOptions", {0: baseline.se_linux_1_0, 31: baseline.se_linux_1_31}),
    _Versions(
        BASELINE, "seccompProfile_baseline", {0: baseline.seccomp_1_0, 19: baseline.seccomp_1_19}
    ),
    _Versions(
        RESTRICTED,
        "seccompProfile_restricted",
        {19: restricted.seccomp_1_19, 25: restricted.seccomp_1_25},
        "seccompProfile_baseline",
    ),
    _Versions(
        BASELINE,
        "sysctls",
        {
            0: baseline.sysctls_1_0,
            27: baseline.sysctls_1_27,
            29: baseline.sysctls_1_29,
            32: baseline.sysctls_1_32,
        },
    ),
    _Versions(BASELINE, "windowsHostProcess", {0: baseline.windows_host_process}),
)


class LevelVersion(NamedTuple):
    """A level as of a release, `restricted:v1.30` or `baseline:latest`."""

    level: str = PRIVILEGED
    version: str = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


class Policy(NamedTuple):
    """What holds in a namespace; `problems` are labels that mean nothing, by label."""

    enforce: LevelVersion = LevelVersion()
    audit: LevelVersion = LevelVersion()
    warn: LevelVersion = LevelVersion()
    problems: tuple[tuple[str, str, str], ...] = ()


def policy_of(labels: Mapping[str, str], defaults: Policy) -> Policy:
    """The policy in the labels of a namespace, over the defaults of the server.

    A label that means nothing stands for `restricted`, or for the latest version.
    """
    if not any(label.startswith(PREFIX) for label in labels):
        return defaults
    problems: list[tuple[str, str, str]] = []
    found = dict(zip(MODES, defaults[:3], strict=True))
    for mode in MODES:
        level, version = found[mode]
        label = f"{PREFIX}{mode}"
        if label in labels:
            level = labels[label]
            if level not in LEVELS:
                problems.append((label, level, f"must be one of {', '.join(LEVELS)}"))
                level = RESTRICTED if mode == "enforce" else PRIVILEGED
        label = f"{PREFIX}{mode}-version"
        if label in labels:
            version = labels[label]
            if version != LATEST and not _VERSION.fullmatch(version):
                problems.append((label, version, 'must be "latest" or "v1.x"'))
                version = LATEST
        found[mode] = LevelVersion(level, version)
    warn_given = any(f"{PREFIX}warn{end}" in labels for end in ("", "-version"))
    if not warn_given and LEVELS.index(found["enforce"].level) > LEVELS.index(found["warn"].level):
        # What is enforced for pods is said of their controllers too, which are not refused.
        found["warn"] = found["enforce"]
    return Policy(found["enforce"], found["audit"], found["warn"], tuple(problems))


@lru_cache(maxsize=256)
def _checks(asked: LevelVersion) -> tuple[Check, ...]:
    if asked.level == PRIVILEGED:
        return ()
    match = _VERSION.fullmatch(asked.version)
    minor = int(match[1]) if match else _NEWEST
    chosen: dict[str, Check] = {}
    overridden: set[str] = set()
    for entry in _CHECKS:
        if entry.level == RESTRICTED and asked.level != RESTRICTED:
            continue
        since = [each for each in entry.since if each <= minor]
        if since:
            chosen[entry.name] = entry.since[max(since)]
            overridden.add(entry.overrides)
    return tuple(check for name, check in chosen.items() if name not in overridden)


def violations(asked: LevelVersion, pod: Fields) -> list[Violation]:
    """What a pod (or a pod template) violates."""
    found = (check(pod) for check in _checks(asked))
    return [violation for violation in found if violation is not None]
