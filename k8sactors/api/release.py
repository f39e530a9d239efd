"""The Kubernetes release that a cluster speaks, in one place.

Schemas, `/version`, the version of kubelets and the documents all follow `DEFAULT_RELEASE`. The
package `kubernetes-validate` must carry its schemas: `pyproject.toml` asks for a version that does.
"""

from __future__ import annotations

from typing import Final

DEFAULT_RELEASE: Final = "1.37.0"


def minor_version(release: str = DEFAULT_RELEASE) -> tuple[str, str]:
    """Major and minor number of a release, as `/version` gives them: `("1", "37")`."""
    major, minor, _ = release.split(".")
    return major, minor
