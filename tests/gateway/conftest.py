"""One served cluster for all tests that speak to it over a port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.served import Served, start


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    running = start("--port", "0")
    assert running.process.stdout is not None
    with running.process.stdout:
        try:
            yield running
        finally:
            running.process.kill()
            running.process.wait()
