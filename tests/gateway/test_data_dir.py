"""A served cluster with a data directory: what was acknowledged survives kill -9."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import trio

from tests.gateway.served import ROOT, Served, post, start

LOAD_TIMEOUT_S = 20.0
EXIT_TIMEOUT_S = 15.0
WRITERS = 8


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def _write(served: Served, name: int, acknowledged: list[bytes]) -> None:
    """Put one key after another, until the server is gone."""
    stream = await trio.open_tcp_stream("127.0.0.1", served.port)
    async with stream:
        for number in range(1_000_000):
            key = b"%d/%06d" % (name, number)
            body = json.dumps({"key": _b64(key), "value": _b64(key * 20)}).encode()
            head = b"POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            try:
                await stream.send_all(head + body)
                answer = b""
                while not answer.endswith(b"}"):
                    chunk = await stream.receive_some()
                    if not chunk:
                        return
                    answer += chunk
            except trio.BrokenResourceError:
                return
            if b" 200 " not in answer.split(b"\r\n", 1)[0]:
                return
            acknowledged.append(key)


def _kill_under_load(served: Served, puts: int) -> list[bytes]:
    """Kill the server after so many acknowledgements; the keys that were acknowledged."""
    acknowledged: list[bytes] = []

    async def main() -> None:
        with trio.fail_after(LOAD_TIMEOUT_S):
            async with trio.open_nursery() as nursery:
                for name in range(WRITERS):
                    nursery.start_soon(_write, served, name, acknowledged)
                while len(acknowledged) < puts:  # noqa: ASYNC110 - the writers only count
                    await trio.sleep(0.001)
                served.process.kill()

    trio.run(main)
    served.process.wait()
    assert served.process.stdout is not None
    served.process.stdout.close()
    return acknowledged


def _all_keys(served: Served) -> dict[bytes, bytes]:
    status, answer = post(served, "/v3/kv/range", {"key": "AA==", "range_end": "AA=="})
    assert status == 200
    return {
        base64.b64decode(kv["key"]): base64.b64decode(kv["value"]) for kv in answer.get("kvs", ())
    }


def _stop(served: Served) -> None:
    served.process.kill()
    served.process.wait()
    assert served.process.stdout is not None
    served.process.stdout.close()


def _refused(path: Path) -> str:
    """What the command says that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "raftstore.cli", "serve", "--port", "0", "--data-dir", str(path)],
        cwd=ROOT,
        capture_output=True,
        timeout=EXIT_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.decode()


def _start_in(data: Path, stderr: int | None = None) -> Served:
    return start("--port", "0", "--data-dir", str(data), stderr=stderr)


def _check_found(found: dict[bytes, bytes], expected: set[bytes]) -> None:
    assert expected <= found.keys()
    # Writers begin again and write the same keys: nothing else can be there.
    assert all(value == key * 20 for key, value in found.items())


def test_every_acknowledged_put_survives_kill_9(tmp_path: Path) -> None:
    data = tmp_path / "data"
    expected = set(_kill_under_load(_start_in(data), 40))
    served = _start_in(data)
    try:
        _check_found(_all_keys(served), expected)
    finally:
        expected |= set(_kill_under_load(served, 300))
    assert len(expected) >= 300
    _a_torn_tail_is_repaired(data, expected)
    _damage_is_refused(data)


def _a_torn_tail_is_repaired(data: Path, expected: set[bytes]) -> None:
    """The last write of a member was cut by the crash."""
    segment = data / "member-2" / f"{1:016x}.wal"
    with segment.open("ab") as file:
        file.write(segment.read_bytes()[-100:][:37])
    served = _start_in(data, stderr=subprocess.PIPE)
    try:
        _check_found(_all_keys(served), expected)
    finally:
        _stop(served)
    assert served.process.stderr is not None
    with served.process.stderr as stderr:
        said = stderr.read().decode()
    assert f"warning: {segment}: cut off a torn tail of " in said


def _damage_is_refused(data: Path) -> None:
    """One byte in the middle of a log, and nothing starts, and nothing is touched."""
    segment = data / "member-3" / f"{1:016x}.wal"
    rotten = bytearray(segment.read_bytes())
    rotten[len(rotten) // 2] ^= 0x10
    segment.write_bytes(rotten)
    said = _refused(data)
    assert f"Error: {segment}: damaged at offset " in said
    assert "a sound frame follows" in said
    assert "remove this member, erase its directory and add it again" in said
    assert segment.read_bytes() == rotten


def test_a_directory_serves_one_process_and_one_cluster(tmp_path: Path) -> None:
    data = tmp_path / "data"
    served = start("--port", "0", "--members", "1", "--data-dir", str(data))
    try:
        said = _refused(data)
    finally:
        _stop(served)
    assert f"{data / 'member-1'}: in use by process {served.process.pid}" in said
    (data / "cluster.json").unlink()
    assert "not empty, and no cluster's directory" in _refused(data)
    (data / "cluster.json").write_text("{}")
    assert f"{data / 'cluster.json'}: unreadable" in _refused(data)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a file")
    assert f"cannot use the data directory {file / 'below'}" in _refused(file / "below")
