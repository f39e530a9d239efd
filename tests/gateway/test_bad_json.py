"""Bad requests of JSON over HTTP, asked of a served member and of a real etcd."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from tests.gateway.bad_json import MALFORMED, OTHER_PATHS, REFUSED_BY_METHODS, Asked
from tests.gateway.differential import OWN_FIELDS
from tests.gateway.real import ETCD, WITHOUT_ETCD
from tests.gateway.served import Served, ask

needs_etcd = pytest.mark.skipif(ETCD is None, reason=WITHOUT_ETCD)
ASK_TIMEOUT_S = 8.0
# What FailedPrecondition is worth in HTTP to the gateway of 3.4, and to later ones.
FORMERLY, SINCE = 412, 400


def answer_to(address: str, asked: Asked) -> tuple[int, str]:
    method, path, body = asked
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    connection = http.client.HTTPConnection(address, timeout=ASK_TIMEOUT_S)
    try:
        connection.request(method, path, text)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def plain(status: int, text: str) -> tuple[int, Any]:
    """Without what differs between clusters, and between releases of a real etcd."""
    # A stream that is asked nothing answers nothing.
    value = json.loads(text or "{}")
    if "code" in value:
        # 3.4 says it twice.
        value.pop("error", None)
    header = value.get("result", value).get("header", {})
    for field in OWN_FIELDS:
        header.pop(field, None)
    return SINCE if status == FORMERLY else status, value


@needs_etcd
def test_methods_refuse_in_etcds_words(addresses: tuple[str, str]) -> None:
    for asked in REFUSED_BY_METHODS:
        ours, theirs = (plain(*answer_to(address, asked)) for address in addresses)
        assert theirs == ours, asked


@needs_etcd
def test_what_is_no_request_has_etcds_code(addresses: tuple[str, str]) -> None:
    for asked in MALFORMED:
        ours, theirs = (plain(*answer_to(address, asked)) for address in addresses)
        assert (ours[0], ours[1]["code"]) == (theirs[0], theirs[1]["code"]) == (400, 3), asked
        assert ours[1]["message"]


@needs_etcd
def test_other_paths_and_methods_have_etcds_status(addresses: tuple[str, str]) -> None:
    for asked in OTHER_PATHS:
        ours, theirs = (answer_to(address, asked) for address in addresses)
        assert ours[0] == theirs[0], asked
        if not asked[1].startswith(("/v3/", "/metrics")):
            assert ours[1] == theirs[1], asked


def test_what_follows_a_request_makes_it_none(served: Served) -> None:
    """A real etcd overlooks it."""
    for body in (b'{"key": "YQ=="} x', b'{"key": "YQ=="}{"key": "Yg=="}'):
        assert ask(served, "POST", "/v3/kv/range", body)[0] == 400
