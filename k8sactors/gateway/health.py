"""Health checks: whether the server lives, is ready, and by which of its checks.

`/healthz`, `/livez` and `/readyz` run all checks; `/readyz/etcd` runs one. `?verbose` tells the
result of each, `?exclude=NAME` leaves one out. Source: Kubernetes API health endpoints.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs

import attrs

from k8sactors.api.errors import StatusError

Check = Callable[[], Awaitable[None]]

ENDPOINTS: Final = ("healthz", "livez", "readyz")
_OK: Final = 200
_FAILED: Final = 500


@attrs.frozen
class Report:
    """The answer of a health endpoint."""

    code: int
    text: str


class HealthChecks:
    """The checks of a server by name; a check that fails raises StatusError."""

    def __init__(self, checks: dict[str, Check]) -> None:
        self._checks = checks

    def paths(self) -> list[str]:
        """Every path at which an answer is given."""
        return [
            path
            for endpoint in ENDPOINTS
            for path in (f"/{endpoint}", *(f"/{endpoint}/{name}" for name in self._checks))
        ]

    async def report(self, path: str, query: str) -> Report | None:
        """The answer at a path; None: no check is there."""
        endpoint, _, name = path.strip("/").partition("/")
        if endpoint not in ENDPOINTS:
            return None
        if not name:
            return await self._all(endpoint, parse_qs(query, keep_blank_values=True))
        check = self._checks.get(name)
        if check is None:
            return None
        try:
            await check()
        except StatusError as error:
            return Report(_FAILED, f"internal server error: {error}\n")
        return Report(_OK, "ok")

    async def _all(self, endpoint: str, settings: dict[str, list[str]]) -> Report:
        excluded = dict.fromkeys(settings.get("exclude", ()))
        lines: list[str] = []
        failed = False
        for name, check in self._checks.items():
            if name in excluded:
                del excluded[name]
                lines.append(f"[+]{name} excluded: ok")
                continue
            try:
                await check()
            except StatusError:
                failed = True
                # The reason may hold what not every client may read.
                lines.append(f"[-]{name} failed: reason withheld")
            else:
                lines.append(f"[+]{name} ok")
        if excluded:
            names = ", ".join(f'"{name}"' for name in sorted(excluded))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
        if failed:
            return Report(_FAILED, "\n".join([*lines, f"{endpoint} check failed"]) + "\n")
        if "verbose" in settings:
            return Report(_OK, "\n".join([*lines, f"{endpoint} check passed"]) + "\n")
        return Report(_OK, "ok")
