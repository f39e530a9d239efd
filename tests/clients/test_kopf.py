"""An operator of kopf with handlers, an index, a timer and a daemon, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading  # noqa: TID251 - an operator runs in one of its own
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

kopf = pytest.importorskip("kopf")

MAPS = "/api/v1/namespaces/default/configmaps"
LIMIT_S = 60.0


def ask(api: Any, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    request = Request(api.url + path, data, {"content-type": kind}, method=method)  # noqa: S310
    with urlopen(request, timeout=30, context=api.ssl_context()) as answer:  # noqa: S310 - of the fixture
        return json.load(answer)


def until(condition: Callable[[], bool], what: str) -> None:
    waiting = threading.Event()
    for _ in range(round(LIMIT_S / 0.1)):
        if condition():
            return
        waiting.wait(0.1)
    pytest.fail(f"{what} not within {LIMIT_S} s")


class Operator:
    """What the handlers have seen."""

    def __init__(self, api: Any) -> None:
        self.calls: list[str] = []
        self.indexed: dict[str, list[str]] = {}
        self.registry = kopf.OperatorRegistry()
        self._stop = threading.Event()
        self._declare(api)
        self._thread = threading.Thread(target=self._run)

    def _declare(self, api: Any) -> None:
        registry, mine = self.registry, {"labels": {"mine": "yes"}}

        @kopf.on.startup(registry=registry)
        def configure(settings: Any, **_: Any) -> None:
            settings.posting.enabled = False
            settings.watching.server_timeout = 5

        @kopf.on.login(registry=registry)
        def login(**_: Any) -> Any:
            user = api.kubeconfig()["users"][0]["user"]
            cluster = api.kubeconfig()["clusters"][0]["cluster"]
            return kopf.ConnectionInfo(
                server=api.url,
                ca_data=cluster["certificate-authority-data"],
                certificate_data=user["client-certificate-data"],
                private_key_data=user["client-key-data"],
            )

        @kopf.index("configmaps", id="by_team", registry=registry, **mine)
        def by_team(name: str, body: Any, **_: Any) -> dict[str, str]:
            return {body["data"]["team"]: name}

        @kopf.on.create("configmaps", registry=registry, **mine)
        def created(name: str, patch: Any, **_: Any) -> None:
            self.calls.append(f"created {name}")
            patch.metadata.annotations["seen"] = "true"

        @kopf.on.update("configmaps", field="data", registry=registry, **mine)
        def updated(name: str, diff: Any, **_: Any) -> None:
            self.calls.append(f"updated {name} {len(diff)}")

        @kopf.on.delete("configmaps", registry=registry, **mine)
        def deleted(name: str, **_: Any) -> None:
            self.calls.append(f"deleted {name}")

        @kopf.timer("configmaps", interval=0.3, registry=registry, **mine)
        def tick(by_team: Any, **_: Any) -> None:
            self.calls.append("tick")
            self.indexed = {team: sorted(names) for team, names in by_team.items()}

        @kopf.daemon("configmaps", registry=registry, **mine)
        async def attend(stopped: Any, name: str, **_: Any) -> None:
            self.calls.append(f"daemon of {name}")
            await stopped.wait()
            self.calls.append(f"daemon of {name} stopped")

    def _run(self) -> None:
        asyncio.run(
            kopf.operator(
                registry=self.registry,
                stop_flag=self._stop,
                standalone=True,
                namespaces=["default"],
            )
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(30)
        assert not self._thread.is_alive()


def test_an_operator_with_handlers_index_timer_and_daemon(k8s_api: Any) -> None:
    operator = Operator(k8s_api)
    with operator.running():
        metadata = {"name": "a", "labels": {"mine": "yes"}}
        ask(k8s_api, "POST", MAPS, {"metadata": metadata, "data": {"team": "blue"}})
        until(lambda: "created a" in operator.calls, "the creation is handled")
        until(lambda: "daemon of a" in operator.calls, "the daemon runs")
        until(lambda: operator.indexed == {"blue": ["a"]}, "the index is filled")

        def annotations() -> dict[str, str]:
            found: dict[str, str] = ask(k8s_api, "GET", f"{MAPS}/a")["metadata"]["annotations"]
            return found

        until(lambda: annotations().get("seen") == "true", "the handler's patch is stored")
        ask(k8s_api, "PATCH", f"{MAPS}/a", {"data": {"team": "red"}})
        until(lambda: "updated a 1" in operator.calls, "the update is handled")
        until(lambda: operator.indexed == {"red": ["a"]}, "the index follows")
        ask(k8s_api, "DELETE", f"{MAPS}/a")
        until(lambda: "deleted a" in operator.calls, "the deletion is handled")
        until(lambda: "daemon of a stopped" in operator.calls, "the daemon ends")
        until(lambda: len(ask(k8s_api, "GET", MAPS)["items"]) == 1, "the finalizer is gone")
    assert operator.calls.count("created a") == 1
    assert operator.calls.count("tick") > 1


@pytest.mark.parametrize("fault", ["conflict_next", "drop_watch", "expire_history"])
def test_the_operator_survives_a_fault(k8s_api: Any, fault: str) -> None:
    operator = Operator(k8s_api)
    with operator.running():
        until(lambda: any(r.verb == "watch" for r in mine(k8s_api)), "it watches")
        getattr(k8s_api, fault)("configmaps")
        metadata = {"name": "a", "labels": {"mine": "yes"}}
        ask(k8s_api, "POST", MAPS, {"metadata": metadata, "data": {"team": "blue"}})
        until(lambda: "created a" in operator.calls, "the creation is handled")
        ask(k8s_api, "DELETE", f"{MAPS}/a")
        until(lambda: "deleted a" in operator.calls, "the deletion is handled")
    assert operator.calls.count("deleted a") == 1


def mine(api: Any) -> list[Any]:
    return [each for each in api.requests if each.user == "kubernetes-admin"]
