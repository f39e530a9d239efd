"""How many requests per second the whole pipeline serves inside the process.

    python -m benches.requests [--objects 5000] [--in-flight 50] [--kind configmap] [--json]

A store of three members with group commit on simulated disks, an API server, and one client that
keeps requests in flight. Each write is decoded, defaulted, admitted, validated, committed by a
majority, and seen by the watch cache; each request travels as a message. Measured are creates,
gets, and server-side applies: the first to an object that was created, and then applies that change
one field. The seconds are those of the processor: the one core that all of it runs on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any, NamedTuple

import click
import structlog
import trio

from benches.collector import without_cyclic_collector
from benches.control_plane import start_store
from k8sactors import fabric, simulation
from k8sactors.actors import Actor
from k8sactors.api.errors import StatusError
from k8sactors.api.user import ADMIN_USER
from k8sactors.apiserver import APIServer, APIServerConfig
from k8sactors.client import Client

Object = dict[str, Any]

NAMESPACE = "bench"
MANAGER = "bench"
POLL_S = 0.01
LIMIT_S = 600.0


class Request(NamedTuple):
    """What is asked of the server."""

    verb: str
    resource: str
    name: str
    body: Object | None = None
    options: Object | None = None


def configmap(name: str, value: str) -> Object:
    """A ConfigMap of a few keys, one of which changes."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "bench"}},
        "data": {**{f"key-{number}": "value" for number in range(10)}, "changes": value},
    }


def deployment(name: str, value: str) -> Object:
    """A Deployment of one container, whose image changes."""
    labels = {"app": name}
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}}
    container = {
        "name": "main",
        "image": f"registry.k8s.io/pause:{value}",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": "MODE", "value": "bench"}],
        "resources": resources,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


KINDS: dict[str, tuple[str, Callable[[str, str], Object]]] = {
    "configmap": ("configmaps", configmap),
    "deployment": ("deployments.apps", deployment),
}


class Requester(Actor):
    """Sends requests with a fixed number of them in flight."""

    def __init__(self, servers: list[str]) -> None:
        self._servers = servers
        self._requests: Iterator[Request] = iter(())
        self._in_flight = 0
        self.answered = 0
        self.errors: list[str] = []
        self.ready = False

    def on_start(self) -> None:
        """Connect."""
        self._client = Client(self.ctx, self._servers, ADMIN_USER)
        self.ready = True

    def send(self, requests: list[Request], in_flight: int) -> None:
        """Send all requests; `answered` counts up to their number."""
        self._requests = iter(requests)
        self.answered = 0
        for _ in range(in_flight):
            self._next()
        # Called from outside a turn: the timer makes one, at whose end everything leaves.
        self.ctx.after(0, self._nothing)

    def _nothing(self) -> None:
        pass

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            return
        self._client.submit(
            request.verb,
            request.resource,
            namespace=None if request.resource == "namespaces" else NAMESPACE,
            name=None if request.verb == "create" else request.name,
            body=request.body,
            options=request.options,
            on_done=self._done,
            on_error=self._failed,
            decode=False,
        )

    def _done(self, _answer: Object) -> None:
        self.answered += 1
        self._next()

    def _failed(self, error: StatusError) -> None:
        self.errors.append(str(error))


class BenchmarkError(Exception):
    """The run did not do the work it was meant to measure."""


class Benchmark:
    """One run."""

    def __init__(self, kind: str, objects: int, in_flight: int) -> None:
        self._resource, self._make = KINDS[kind]
        self._objects = objects
        self._in_flight = in_flight

    async def run(self) -> dict[str, float]:
        """Requests per second by what they do."""
        async with fabric.open_fabric(default_latency_ns=0) as network:
            self._network = network
            config = APIServerConfig(
                store_endpoints=start_store(network), service_account_must_exist=False
            )
            network.add_host("cp-1").spawn("apiserver", lambda: APIServer(config))
            self._requester = Requester(["cp-1/apiserver"])
            network.add_host("console").spawn("requester", lambda: self._requester)
            await self._until(lambda: self._requester.ready)
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            await self._rate([Request("create", "namespaces", NAMESPACE, namespace)])
            with without_cyclic_collector():
                return {
                    "creates_per_second": await self._rate(self._requests("create", "1")),
                    "gets_per_second": await self._rate(self._requests("get", "")),
                    "first_applies_per_second": await self._rate(self._applies("1")),
                    "applies_per_second": await self._rate(self._applies("2")),
                    "applies_without_change_per_second": await self._rate(self._applies("2")),
                }

    def _requests(self, verb: str, value: str) -> list[Request]:
        return [
            Request(verb, self._resource, name, self._make(name, value) if value else None)
            for name in self._names()
        ]

    def _applies(self, value: str) -> list[Request]:
        options = {"patchType": "apply", "fieldManager": MANAGER, "force": True}
        return [
            Request("patch", self._resource, name, self._make(name, value), options)
            for name in self._names()
        ]

    def _names(self) -> list[str]:
        return [f"object-{number}" for number in range(self._objects)]

    async def _rate(self, requests: list[Request]) -> float:
        count, requester = len(requests), self._requester
        started_s = process_time()
        requester.send(requests, self._in_flight)
        await self._until(lambda: requester.answered >= count)
        return round(count / (process_time() - started_s))

    async def _until(self, condition: Callable[[], bool]) -> None:
        with trio.move_on_after(LIMIT_S):
            while not condition():
                await trio.sleep(POLL_S)
                if self._network.crashes:
                    raise BenchmarkError(f"a component crashed: {self._network.crashes[0]}")
                if self._requester.errors:
                    raise BenchmarkError(f"a request failed: {self._requester.errors[0]}")
            return
        raise BenchmarkError(f"waited {LIMIT_S:.0f} virtual seconds")


@click.command()
@click.option("--objects", type=click.IntRange(1, 1_000_000), default=5000, show_default=True)
@click.option("--in-flight", type=click.IntRange(1, 400), default=50, show_default=True)
@click.option("--kind", type=click.Choice(list(KINDS)), default="configmap", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(objects: int, in_flight: int, kind: str, seed: int, as_json: bool) -> None:
    """Measure how many requests per second are served."""
    # Standard output carries the result, and nothing else.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    figures = simulation.run(Benchmark(kind, objects, in_flight).run, seed=seed)
    if as_json:
        print(json.dumps({"kind": kind, "objects": objects, "in_flight": in_flight, **figures}))
        return
    for name, figure in figures.items():
        print(f"{name.replace('_', ' ')}: {figure:.0f}")


if __name__ == "__main__":
    main()
