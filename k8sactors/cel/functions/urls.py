"""URLs: `url("https://example.com:80/path?k=v").getHost()`."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from k8sactors.cel.declaration import Overload, Type, function, method
from k8sactors.cel.types import URL


def _parse(text: str) -> SplitResult:
    """An absolute URL or an absolute path (Go's `url.ParseRequestURI`)."""
    problem = f"URL parse error during conversion from string: parse {text!r}: invalid URI"
    try:
        found = urlsplit(text)
        _ = found.port
    except ValueError as error:
        raise ValueError(problem) from error
    if not text or any(character.isspace() for character in text):
        raise ValueError(problem)
    if not found.scheme and not text.startswith("/"):
        raise ValueError(f"{problem} for request")
    return found


def _is_url(text: str) -> bool:
    try:
        _parse(text)
    except ValueError:
        return False
    return True


def _made(text: str) -> Any:
    _parse(text)
    return URL.make(text)


def _of(message: Any) -> SplitResult:
    return _parse(message.text)


def _host(message: Any) -> str:
    return _of(message).netloc.rpartition("@")[2]


def _hostname(message: Any) -> str:
    return (_of(message).hostname or "") if _host(message) else ""


def _port(message: Any) -> str:
    port = _of(message).port
    return "" if port is None else str(port)


def _path(message: Any) -> str:
    return quote(_of(message).path, safe="/%:@!$&'()*+,;=~-._")


def _query(message: Any) -> dict[str, list[str]]:
    return parse_qs(_of(message).query, keep_blank_values=True)


_ONE = URL
OVERLOADS: tuple[Overload, ...] = (
    function("url", [Type.STRING], _ONE, _made),
    function("isURL", [Type.STRING], Type.BOOL, _is_url),
    method("getScheme", [_ONE], Type.STRING, lambda url: _of(url).scheme),
    method("getHost", [_ONE], Type.STRING, _host),
    method("getHostname", [_ONE], Type.STRING, _hostname),
    method("getPort", [_ONE], Type.STRING, _port),
    method("getEscapedPath", [_ONE], Type.STRING, _path),
    method("getQuery", [_ONE], Type.Map(Type.STRING, Type.List(Type.STRING)), _query),
)
