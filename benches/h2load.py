"""One unary gRPC method asked again and again by h2load, nghttp2's load generator in C.

It costs a fraction of the CPU that the store under test needs, so that on a small machine the store
is what is measured. Every request has the same body.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from benches.store_report import Figures, latency_figures
from raftstore.gateway.messages import message

H2LOAD: Final = shutil.which("h2load")
WITHOUT_H2LOAD: Final = "h2load is not installed (Debian: apt-get install nghttp2-client)"
TASKS_PER_CONNECTION: Final = 10
TIMEOUT_S: Final = 600.0
KEY: Final = b"bench/%08d" % 0
OK: Final = 200

_METHODS: Final = {"put": "Put", "range": "Range", "range-serializable": "Range"}
MODES: Final = tuple(_METHODS)


class LoadError(Exception):
    """A load could not be carried out."""


def ask(endpoint: str, mode: str, clients: int, operations: int, value: bytes) -> Figures:
    """Let so many clients ask an endpoint; one connection for every ten of them."""
    if H2LOAD is None:
        raise LoadError(WITHOUT_H2LOAD)
    connections = -(-clients // TASKS_PER_CONNECTION)
    with tempfile.TemporaryDirectory() as name:
        body, log = Path(name) / "body", Path(name) / "log"
        body.write_bytes(_frame(_request(mode, value)))
        command = [
            H2LOAD,
            f"--requests={operations}",
            f"--clients={connections}",
            f"--max-concurrent-streams={-(-clients // connections)}",
            f"--data={body}",
            "--header=content-type: application/grpc",
            "--header=te: trailers",
            f"--log-file={log}",
            f"http://{endpoint}/etcdserverpb.KV/{_METHODS[mode]}",
        ]
        done = subprocess.run(  # noqa: S603 - ours
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        if done.returncode or not log.exists():
            raise LoadError(f"h2load failed: {done.stderr.strip() or done.stdout.strip()}")
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    answered = sum(int(status) == OK for _, status, _ in rows)
    if answered != operations:
        raise LoadError(f"{operations - answered} of {operations} requests were not answered")
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", done.stdout)
    assert rate is not None, "h2load tells the rate"
    return {
        "mode": mode,
        "clients": clients,
        "operations": operations,
        "value_bytes": len(value),
        "per_second": round(float(rate[1])),
        "latency_ms": latency_figures([1000 * int(duration) for _, _, duration in rows]),
    }


def _request(mode: str, value: bytes) -> bytes:
    if mode == "put":
        request = message("PutRequest")(key=KEY, value=value)
    else:
        request = message("RangeRequest")(key=KEY, serializable=mode == "range-serializable")
    return bytes(request.SerializeToString())


def _frame(payload: bytes) -> bytes:
    """A gRPC message: not compressed, its length, itself."""
    return b"\0" + len(payload).to_bytes(4) + payload
