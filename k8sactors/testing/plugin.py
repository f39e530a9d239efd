"""The pytest plugin: fixtures for tests of controllers, operators and other Kubernetes clients.

`k8s_cluster`    a cluster of one node on virtual time, for async tests under trio
`k8s_transport`  the same cluster behind an httpx transport, without a socket
`k8s_api`        a cluster of one node on real time, behind a URL, for every other client

Each test gets a cluster of its own. `@pytest.mark.k8s(seed=7, workers=3)` sets the seed of the
first two, and fields of `ClusterSpec` for all. With pytest-trio installed an async test runs under
it, together with its fixtures; otherwise the plugin runs it. Everything is imported at first use: a
project that has the plugin installed pays nothing for tests without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

import pytest

MARKER: Final = "k8s"
CLUSTER: Final = "k8s_cluster"
_RUNNER: Final = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(seed=0, **fields): the seed and the ClusterSpec of the test's cluster",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let an async test with a cluster run inside that cluster's simulation."""
    if CLUSTER not in getattr(item, "fixturenames", ()):
        return
    if not inspect.iscoroutinefunction(getattr(item, "function", None)):
        pytest.fail(f"{CLUSTER} is for async tests; {item.name} is not async: take k8s_api")
    if item.config.pluginmanager.hasplugin("trio"):

        def run(main: Any, *args: Any, clock: Any = None, instruments: Any = ()) -> Any:
            assert not instruments, "a simulation takes no instruments"
            return item.stash[_RUNNER](main, *args, clock=clock)

        item.add_marker(pytest.mark.trio(run=run), append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test with a cluster where pytest-trio does not."""
    runner = pyfuncitem.stash.get(_RUNNER, None)
    if runner is None or pyfuncitem.config.pluginmanager.hasplugin("trio"):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names if name in pyfuncitem.funcargs}

    async def main() -> None:
        await pyfuncitem.obj(**arguments)

    runner(main)
    return True


@pytest.fixture
def k8s_cluster(request: pytest.FixtureRequest) -> Any:
    """A cluster of one node on virtual time (`k8sactors.testing.K8sCluster`), for async tests.

    The test runs inside its simulation, and begins when the cluster is ready. Everything that it
    starts shares the seed; a failure is repeated exactly by it.
    """
    from k8sactors.testing.cluster import K8sCluster, run_with  # noqa: PLC0415 - at first use

    seed, spec = _settings(request.node)
    cluster = K8sCluster(spec)

    def run(main: Any, *args: Any, clock: Any = None) -> Any:
        return run_with(cluster, main, *args, seed=seed, clock=clock)

    request.node.stash[_RUNNER] = run
    return cluster


@pytest.fixture
def k8s_transport(k8s_cluster: Any) -> Any:
    """A transport for httpx that ends in the test's cluster (`k8sactors.testing.K8sTransport`)."""
    from k8sactors.testing.transport import K8sTransport  # noqa: PLC0415 - at first use

    return K8sTransport(k8s_cluster)


@pytest.fixture(scope="session")
def k8s_api_process() -> Iterator[Any]:
    """The process in which `k8s_api` runs its clusters, one after the other."""
    from k8sactors.testing.api import ApiProcess  # noqa: PLC0415 - at first use

    process = ApiProcess()
    yield process
    process.stop()


@pytest.fixture
def k8s_api(request: pytest.FixtureRequest, k8s_api_process: Any) -> Iterator[Any]:
    """A cluster of one node on real time, behind a URL (`k8sactors.testing.K8sApi`)."""
    seed, spec = _settings(request.node)
    with k8s_api_process.cluster(spec, seed) as api:
        yield api


def _settings(item: Any) -> tuple[int, Any]:
    import attrs  # noqa: PLC0415 - at first use

    from k8sactors.testing.cluster import ONE_NODE  # noqa: PLC0415 - at first use

    fields: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(MARKER))):
        fields.update(marker.kwargs)
    seed = fields.pop("seed", 0)
    return seed, attrs.evolve(ONE_NODE, **fields)
