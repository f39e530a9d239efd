"""h2load against a served API: the same request again and again, over HTTP/2 and TLS."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import attrs

from benches.h2load import H2LOAD, WITHOUT_H2LOAD, LoadError
from benches.served_api import ServedApi

OK = 200
CREATED = 201


@attrs.frozen
class Rate:
    """What was answered."""

    per_second: float
    # Processor time of the server for a request.
    server_cpu_us: float


def send(
    served: ServedApi,
    path: str,
    count: int,
    *,
    body: dict[str, Any] | None = None,
    connections: int = 10,
    streams: int = 10,
) -> Rate:
    """GET, or POST `body`, so many times, so many at a time on each connection.

    Raises:
        LoadError: not every request was answered with what it asks for.
    """
    if H2LOAD is None:
        raise LoadError(WITHOUT_H2LOAD)
    headers = {**served.headers, "content-type": "application/json", "user-agent": "bench/1"}
    command = [H2LOAD, "-n", str(count), "-c", str(connections), "-m", str(streams)]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        command.append(f"--log-file={log}")
        if body is not None:
            data = Path(name) / "body"
            data.write_text(json.dumps(body))
            command.append(f"--data={data}")
        cpu_s = served.cpu_seconds()
        done = subprocess.run(  # noqa: S603 - h2load with our arguments
            [*command, served.url + path], capture_output=True, text=True, check=False
        )
        cpu_s = served.cpu_seconds() - cpu_s
        rows = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    wanted = OK if body is None else CREATED
    answered = sum(int(code) == wanted for _, code, _ in rows)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", done.stdout)
    if answered != count or rate is None:
        raise LoadError(f"{count - answered} of {count} requests failed:\n{done.stdout[-800:]}")
    return Rate(float(rate[1]), round(1e6 * cpu_s / count, 1))
