"""The options of a stream from its query string (`PodLogOptions`, `PodExecOptions` ...)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from k8sactors.api import errors
from k8sactors.gateway.paths import FALSE_TEXTS, TRUE_TEXTS

_SWITCHES: Final = frozenset(
    {"follow", "previous", "timestamps", "stdin", "stdout", "stderr", "tty"}
)
_NUMBERS: Final = frozenset({"limitBytes", "sinceSeconds", "tailLines"})
_TEXTS: Final = frozenset({"container", "sinceTime", "stream"})
_LISTS: Final = frozenset({"command", "ports"})


def parse(query: str) -> dict[str, Any]:
    """The options; unknown ones are ignored.

    Raises:
        StatusError: 400, one of them is malformed.
    """
    found: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key in _SWITCHES:
            if text not in TRUE_TEXTS | FALSE_TEXTS:
                raise _syntax(key, text, "Bool")
            found[key] = text in TRUE_TEXTS
        elif key in _NUMBERS:
            if not text.removeprefix("-").isdecimal():
                raise _syntax(key, text, "Int")
            found[key] = int(text)
        elif key in _TEXTS:
            found[key] = text
        elif key in _LISTS:
            found.setdefault(key, []).append(text)
    return found


def _syntax(key: str, text: str, kind: str) -> errors.StatusError:
    return errors.bad_request(f'{key}: strconv.Parse{kind}: parsing "{text}": invalid syntax')
