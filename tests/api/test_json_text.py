"""JSON is read as Go reads it: what Python takes beyond that is refused or made whole."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api import codec
from k8sactors.api.json_text import load_json


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 1.5, "x", null, true]}', {"a": [1, 1.5, "x", None, True]}),
        ('"\u00fc \U0001f600"'.encode(), "\u00fc \U0001f600"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"a\\ud800b\\udc00"', "a\ufffdb\ufffd"),
        (b'{"\\ud800": "\\udfff"}', {"\ufffd": "\ufffd"}),
        (b"9223372036854775807", (1 << 63) - 1),
        (b"-9223372036854775808", -(1 << 63)),
        (b"99999999999999999999999", 1e23),
        (b"-99999999999999999999999", -1e23),
        (b"1e100", 1e100),
    ],
)
def test_values_can_be_stored(data: bytes, value: Any) -> None:
    found = load_json(data)
    assert found == value
    assert codec.decode_value(codec.encode_value(found)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b"-1e400",
        b"9" * 400,
        b"9" * 5000,
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b"[" * 200,
    ],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are those of three readers
        load_json(data)
