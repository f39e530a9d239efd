"""JSON texts of clients, read as a server in Go reads them.

Python's reader takes more than JSON (`NaN`, texts with half a surrogate pair, numbers of any size),
and gives values that neither the message codec nor another client could take.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from k8sactors.api.nesting import check_json_depth

# Whether there may be such a value at all; the looks are cheap, what follows from them is not.
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_LARGE_NUMBER = re.compile(rb"[0-9]{19}|[eE]\+?[0-9]{3}")
# Of a floating-point number.
_LARGEST_BITS = 1023
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


def load_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Half of a surrogate pair becomes U+FFFD, a whole number beyond 64 bits a floating one.

    Raises:
        ValueError: it is no JSON, nests too deep, or holds a number that is too large.
    """
    check_json_depth(data)
    text = data.decode()
    if _LARGE_NUMBER.search(data) is None:
        found = json.loads(text, parse_constant=_refuse)
    else:
        found = json.loads(text, parse_constant=_refuse, parse_int=_whole, parse_float=_finite)
    return found if _HALF_PAIR.search(data) is None else _with_whole_pairs(found)


def as_json(value: Any) -> Any:
    """A value that YAML was read into, as the same text in JSON would be.

    Raises:
        ValueError: it holds a number that is too large, or what JSON cannot say.
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, int):
        if _LEAST <= value <= _MOST:
            return value
        if value.bit_length() > _LARGEST_BITS:
            raise ValueError("a number is out of range")
        return float(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number is out of range")
        return value
    if isinstance(value, dict):
        return {as_json(str(key)): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    raise ValueError(f"invalid value {value!r}")


def _refuse(text: str) -> None:
    raise ValueError(f"invalid value {text}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _whole(text: str) -> int | float:
    number = _finite(text)
    if abs(number) > _MOST:
        return number
    exact = int(text)
    return exact if _LEAST <= exact <= _MOST else number


def _with_whole_pairs(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return json.loads(whole)
