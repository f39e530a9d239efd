"""Requests and watches over HTTPS: a served cluster in one process, asked as clients in Go ask.

    python -m benches.https --requests 20000 --watches 1000 [--json]

Gets and creates of ConfigMaps come from h2load over HTTP/2: on many kept connections with few
requests at a time each, as clients in Go have them. Each create makes an object of its own (the
server generates its name) and is committed by the store. Then so many watches are opened, each on a
connection of its own, while ConfigMaps are created: all must see all of them, in order. One more
watcher opens its watch and reads nothing: it must be cut, and all others must still see all events.

The server and the load share the cores, so its processor time is stated next to the wall time: per
request, and per event that a watcher was sent.
"""

from __future__ import annotations

import json
from typing import Any, Final

import click

from benches.https_load import Rate, send
from benches.https_watch import slow_watcher, watches
from benches.served_api import NAMESPACE, ServedApi, served_api

CONFIG_MAPS: Final = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
NAME: Final = "bench"
WARM_UP_REQUESTS: Final = 300
# Next to a slow watcher, and the large objects that it is sent.
OTHERS: Final = 2
SLOW_OBJECTS: Final = 130


def config_map() -> dict[str, Any]:
    """One of a few hundred bytes; the server gives it a name."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"generateName": f"{NAME}-", "labels": {"app": NAME}},
        "data": {"value": "x" * 100},
    }


def requests(
    served: ServedApi, count: int, connections: int, streams: int
) -> dict[str, dict[str, float]]:
    """Gets and creates."""
    named = config_map()
    named["metadata"] = {"name": NAME}
    served.ask(CONFIG_MAPS, named)

    def rate(path: str, body: dict[str, Any] | None) -> dict[str, float]:
        load = {"connections": connections, "streams": streams}
        send(served, path, WARM_UP_REQUESTS, body=body, **load)
        found: Rate = send(served, path, count, body=body, **load)
        one_core = round(1e6 / found.server_cpu_us) if found.server_cpu_us else 0
        return {
            "per_second": round(found.per_second),
            "server_cpu_us": found.server_cpu_us,
            "per_cpu_second": one_core,
        }

    return {"get": rate(f"{CONFIG_MAPS}/{NAME}", None), "create": rate(CONFIG_MAPS, config_map())}


def measure(
    served: ServedApi, count: int, connections: int, streams: int, watchers: int, events: int
) -> dict[str, Any]:
    """All figures of one server."""
    return {
        "requests": count,
        "connections": connections,
        "streams": streams,
        **requests(served, count, connections, streams),
        "watch": watches(served, CONFIG_MAPS, config_map(), watchers, events),
        "slow_watcher": slow_watcher(served, CONFIG_MAPS, config_map(), OTHERS, SLOW_OBJECTS),
    }


@click.command()
@click.option("--requests", "count", type=click.IntRange(1), default=20_000, show_default=True)
@click.option("--connections", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--streams", type=click.IntRange(1, 100), default=4, show_default=True)
@click.option("--watches", "watchers", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--events", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(
    count: int, connections: int, streams: int, watchers: int, events: int, as_json: bool
) -> None:
    """Measure requests and watches over HTTPS."""
    with served_api() as served:
        figures = measure(served, count, connections, streams, watchers, events)
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name.replace('_', ' ')}: {value}")


if __name__ == "__main__":
    main()
