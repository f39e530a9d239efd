"""Answers in JSON: numbers that no 64 bits hold."""

from __future__ import annotations

import json

from k8sactors.gateway.negotiation import Format
from k8sactors.gateway.representation import encode


def test_a_number_of_more_than_64_bits_is_written() -> None:
    body = {"size": 1 << 70, "name": "\u00e9\u4e2d"}
    assert json.loads(encode(body, Format())) == body
