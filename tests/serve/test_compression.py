"""Large answers are compressed for clients that ask for it."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator

import pytest

from k8sactors.gateway.compression import MIN_BYTES, accepts_gzip
from tests.serve.test_serve import ASK_TIMEOUT_S, CONFIG_MAPS, Api, serving

LARGE = 200 << 10


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as served:
        for name, size in (("small", 10), ("large", LARGE)):
            body = {"metadata": {"name": name}, "data": {"text": "x" * size}}
            assert served.ask("POST", CONFIG_MAPS, body).code == 201
        yield served


def fetch(api: Api, path: str, accept_encoding: str | None) -> tuple[str | None, bytes]:
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=ASK_TIMEOUT_S)
    try:
        headers = {} if accept_encoding is None else {"accept-encoding": accept_encoding}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status == 200
        assert answer.getheader("content-length") == str(len(data))
        return answer.getheader("content-encoding"), data
    finally:
        connection.close()


@pytest.mark.parametrize("path", [CONFIG_MAPS, f"{CONFIG_MAPS}/large"])
def test_a_large_answer_is_the_same_compressed_or_not(api: Api, path: str) -> None:
    plain_encoding, plain = fetch(api, path, None)
    encoding, packed = fetch(api, path, "gzip")
    assert (plain_encoding, encoding) == (None, "gzip")
    assert len(packed) < len(plain) / 10
    assert json.loads(gzip.decompress(packed)) == json.loads(plain)


@pytest.mark.parametrize("accepted", ["gzip;q=0", "br", ""])
def test_a_client_that_does_not_take_gzip_gets_none(api: Api, accepted: str) -> None:
    encoding, data = fetch(api, CONFIG_MAPS, accepted)
    assert encoding is None
    assert len(data) > LARGE


def test_a_short_answer_is_sent_as_it_is(api: Api) -> None:
    encoding, data = fetch(api, f"{CONFIG_MAPS}/small", "gzip")
    assert encoding is None
    assert len(data) < MIN_BYTES


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        (b"gzip", True),
        (b"deflate, GZIP;q=0.5", True),
        (b"*", True),
        (b"gzip;q=0.000", False),
        (b"identity", False),
    ],
)
def test_what_a_header_accepts(header: bytes | None, expected: bool) -> None:
    assert accepts_gzip(header) is expected
