"""Lists of many pods over HTTPS: how long the first and the next take, and memory of ten at once.

    python -m benches.relist --pods 10000 --clients 10 [--json]

A served cluster holds pods of 4.5 KB (in JSON) that differ as the pods of one
template do. They are listed as JSON and as protobuf, once when nothing has listed them before and
once again; then by many clients at once, each of which has its own connection and reads all. The
server's processor time is stated next to the wall time, which the client shares. Memory is the
highest resident size of the server during one list, and during all lists at once.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Final

import click

from benches.https_load import send
from benches.served_api import NAMESPACE, ServedApi, served_api

PATH: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"
FORMS: Final = {"json": "application/json", "protobuf": "application/vnd.kubernetes.protobuf"}
POD_BYTES: Final = 4500
# What the server adds: names, times, tolerations, default values.
_ADDED_BYTES: Final = 2900


class BenchmarkError(Exception):
    """A list was not whole."""


def pod() -> dict[str, Any]:
    """A pod that no scheduler takes, of `POD_BYTES` when it is listed."""
    container = {
        "name": "app",
        "image": "registry.k8s.io/pause:3.10",
        "command": ["/bin/app", "--port=8080"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(9)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    }
    obj: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "app-", "labels": {"app": "bench"}, "annotations": {}},
        "spec": {"schedulerName": "none", "containers": [container]},
    }
    padding = POD_BYTES - _ADDED_BYTES - len(json.dumps(obj, separators=(",", ":")))
    obj["metadata"]["annotations"]["padding"] = "x" * max(padding, 0)
    return obj


def timed_list(served: ServedApi, form: str) -> dict[str, float]:
    """One list by one client."""
    cpu_s, started_s = served.cpu_seconds(), time.perf_counter()
    data = served.ask(PATH, accept=FORMS[form])
    seconds = time.perf_counter() - started_s
    return {
        "seconds": round(seconds, 3),
        "server_cpu_seconds": round(served.cpu_seconds() - cpu_s, 3),
        "size_mb": round(len(data) / 1e6, 1),
    }


def lists_at_once(served: ServedApi, clients: int, form: str) -> dict[str, float]:
    """Lists by many clients at once."""
    sizes: list[int] = []

    def read() -> None:
        sizes.append(len(served.ask(PATH, accept=FORMS[form])))

    served.forget_peak()
    started_s = time.perf_counter()
    threads = [threading.Thread(target=read) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(sizes) != clients or len(set(sizes)) != 1:
        raise BenchmarkError(f"{clients} clients read {sizes} bytes")
    peak_mb = served.memory_mb()[1]
    return {"seconds": round(time.perf_counter() - started_s, 3), "peak_rss_mb": round(peak_mb, 1)}


def measure(served: ServedApi, pods: int, clients: int) -> dict[str, Any]:
    """All figures of one server, which has no pods yet."""
    figures: dict[str, Any] = {"pods": pods, "clients": clients}
    send(served, PATH, pods, body=pod())
    figures["rss_before_mb"] = round(served.memory_mb()[0], 1)
    for form in FORMS:
        served.forget_peak()
        first, again = timed_list(served, form), timed_list(served, form)
        alone_mb = served.memory_mb()[1]
        at_once = lists_at_once(served, clients, form)
        figures[form] = {
            "first": first,
            "again": again,
            "peak_rss_of_one_mb": round(alone_mb, 1),
            "at_once": at_once,
            "peak_ratio": round(at_once["peak_rss_mb"] / alone_mb, 3),
        }
    items = json.loads(served.ask(PATH))["items"]
    if len(items) != pods:
        raise BenchmarkError(f"{len(items)} of {pods} pods were listed")
    texts = (len(json.dumps(item, separators=(",", ":"))) for item in items)
    figures["pod_bytes"] = sum(texts) // pods
    return figures


@click.command()
@click.option("--pods", type=click.IntRange(1, 100_000), default=10_000, show_default=True)
@click.option("--clients", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(pods: int, clients: int, as_json: bool) -> None:
    """Measure lists of many pods."""
    with served_api() as served:
        figures = measure(served, pods, clients)
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' ')}: {value}")


if __name__ == "__main__":
    main()
