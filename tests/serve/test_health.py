"""Health checks: all of an endpoint, or one."""

from __future__ import annotations

import pytest

from k8sactors.api.errors import service_unavailable
from k8sactors.gateway.health import HealthChecks, Report


async def passes() -> None:
    return


async def fails() -> None:
    raise service_unavailable("the store at 10.0.0.7 is away")


HEALTHY = HealthChecks({"ping": passes, "etcd": passes})
SICK = HealthChecks({"ping": passes, "etcd": fails})

UNMATCHED = 'warn: some health checks cannot be excluded: no matches for "a", "b"'


@pytest.mark.parametrize(
    ("path", "query", "text"),
    [
        ("/livez", "", "ok"),
        ("/readyz/etcd", "", "ok"),
        ("/healthz", "verbose", "[+]ping ok\n[+]etcd ok\nhealthz check passed\n"),
        (
            "/readyz",
            "verbose=1&exclude=etcd",
            "[+]ping ok\n[+]etcd excluded: ok\nreadyz check passed\n",
        ),
        (
            "/readyz",
            "verbose&exclude=b&exclude=a",
            f"[+]ping ok\n[+]etcd ok\n{UNMATCHED}\nreadyz check passed\n",
        ),
    ],
)
async def test_a_healthy_server_says_ok_or_more(path: str, query: str, text: str) -> None:
    assert await HEALTHY.report(path, query) == Report(200, text)


async def test_a_failed_check_is_told_without_its_reason() -> None:
    told = "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n"
    assert await SICK.report("/livez", "") == Report(500, told)
    assert await SICK.report("/livez", "exclude=etcd") == Report(200, "ok")
    assert await SICK.report("/livez/ping", "") == Report(200, "ok")
    alone = "internal server error: the store at 10.0.0.7 is away\n"
    assert await SICK.report("/livez/etcd", "") == Report(500, alone)


@pytest.mark.parametrize("path", ["/readyz/nothing", "/readyz/etcd/more", "/health", ""])
async def test_nothing_else_is_a_check(path: str) -> None:
    assert await HEALTHY.report(path, "") is None
