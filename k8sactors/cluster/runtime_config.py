"""Which versions of API groups the front door serves: `kube-apiserver --runtime-config`.

Keys are `api/all`, `api/ga`, `api/beta`, `api/alpha`, `<group>/<version>` (`/v1` for the core
group) and `<group>/<version>/<resource>`; the more precise key wins. The components of the cluster
are not concerned: they keep using what is hidden from clients.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from k8sactors.api.kind import ResourceInfo
from k8sactors.api.scheme import Scheme, builtin

# Versions by their maturity, the widest key first: later ones win.
_MATURITIES: Final = {
    "api/all": re.compile(r"v.+"),
    "api/ga": re.compile(r"v\d+"),
    "api/beta": re.compile(r"v\d+beta\d+"),
    "api/alpha": re.compile(r"v\d+alpha\d+"),
}
# The spellings of Go's `strconv.ParseBool`; a key without a value means true.
_BOOLEANS: Final = {
    **dict.fromkeys(("", "1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_VERSION_PARTS: Final = 2
_RESOURCE_PARTS: Final = 3


def runtime_config_problems(config: Mapping[str, str]) -> list[str]:
    """Why the real server refuses these settings, in its words; none: they are good."""
    if config.get("api/all") == "false" and len(config) == 1:
        return ["invalid key with only api/all=false"]
    versions = {(info.group, info.version) for info in builtin().resources()}
    groups = {group for group, _ in versions}
    found, unknown = [], []
    for key, value in config.items():
        if key in _MATURITIES:
            if value not in ("true", "false"):
                found.append(f"invalid value {key}={value}")
            continue
        parts = key.split("/")
        if len(parts) not in (_VERSION_PARTS, _RESOURCE_PARTS):
            return [f"runtime-config invalid key {key}"]
        group, version = parts[:_VERSION_PARTS]
        if group not in groups:
            unknown.append(group)
        elif (group, version) not in versions:
            name = f"{group}/{version}".lstrip("/")
            found.append(f"group version {name} that has not been registered")
        elif value not in _BOOLEANS:
            reason = f'strconv.ParseBool: parsing "{value}": invalid syntax'
            found.append(f"invalid value of {key}: {value}, err: {reason}")
    if unknown:
        found.insert(0, f"unknown api groups {','.join(unknown)}")
    if not found and not served_scheme(builtin(), config).stored():
        found.append("runtime-config leaves no resource that is served")
    return found


def served_scheme(scheme: Scheme, config: Mapping[str, str]) -> Scheme:
    """What clients may use of `scheme`: itself where nothing is configured."""
    if not config:
        return scheme
    return Scheme(info for info in scheme.resources() if _is_enabled(info, config))


def _is_enabled(info: ResourceInfo, config: Mapping[str, str]) -> bool:
    enabled = True
    for key, pattern in _MATURITIES.items():
        if key in config and pattern.fullmatch(info.version):
            enabled = config[key] == "true"
    version = f"{info.group}/{info.version}"
    for key in (version, f"{version}/{info.plural}"):
        if key in config:
            enabled = _BOOLEANS[config[key]]
    return enabled
