"""The options of `raftstore serve` that let history go by itself."""

from __future__ import annotations

import time  # noqa: TID251 - the server is a process on real time

from tests.gateway.served import post, start, stopping

OUT_OF_RANGE = 11
ATTEMPTS = 150
PAUSE_S = 0.1


def test_history_older_than_the_retention_goes() -> None:
    options = ("--members", "1", "--port", "0", "--auto-compaction-retention", "300ms")
    with stopping(start(*options)) as served:
        answer: dict[str, object] = {}
        for _ in range(ATTEMPTS):
            if answer.get("code") == OUT_OF_RANGE:
                break
            time.sleep(PAUSE_S)
            assert post(served, "/v3/kv/put", {"key": "Zm9v", "value": "YmFy"})[0] == 200
            _, answer = post(served, "/v3/kv/range", {"key": "Zm9v", "revision": "2"})
        assert "required revision has been compacted" in str(answer["message"])
