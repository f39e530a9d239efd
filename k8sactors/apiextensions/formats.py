"""The formats of strings that a schema may ask for; others are not looked at.

Source: `apiextensions-apiserver/pkg/apiserver/validation/formats.go` and kube-openapi's `strfmt`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from k8sactors.api.validation.names import dns1123_label, dns1123_subdomain

_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h|d|w))+|0", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_HOSTNAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?", re.ASCII)
_MAC = re.compile(r"([0-9a-fA-F]{2}([:-]))([0-9a-fA-F]{2}\2){4}[0-9a-fA-F]{2}", re.ASCII)
_HEX_COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", re.ASCII)
_UUID = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE
)
_BSON = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)
HOSTNAME_MAX: Final = 255


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return fits


def _is_date_time(text: str) -> bool:
    found = _DATE_TIME.fullmatch(text)
    return found is not None and _is_date(found[1])


_is_date = _parses(date.fromisoformat)


def _is_hostname(text: str) -> bool:
    parts = text.rstrip(".").split(".")
    return len(text) <= HOSTNAME_MAX and all(_HOSTNAME.fullmatch(part) for part in parts)


def _is_uri(text: str) -> bool:
    if not _parses(urlsplit)(text):
        return False
    return bool(urlsplit(text).scheme) or text.startswith("/")


def _is_cidr(text: str) -> bool:
    return "/" in text and _parses(ipaddress.ip_interface)(text)


def _is_uuid(version: str = "") -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        found = _UUID.fullmatch(text)
        return found is not None and version in {"", found[1]}

    return fits


_FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "bsonobjectid": lambda text: _BSON.fullmatch(text) is not None,
    "byte": _parses(lambda text: base64.b64decode(text, validate=True)),
    "cidr": _is_cidr,
    "date": lambda text: len(text) == len("2006-01-02") and _is_date(text),
    "datetime": _is_date_time,
    "duration": lambda text: _DURATION.fullmatch(text.replace(" ", "")) is not None,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hexcolor": lambda text: _HEX_COLOR.fullmatch(text) is not None,
    "hostname": _is_hostname,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "k8slongname": lambda text: not dns1123_subdomain(text),
    "k8sshortname": lambda text: not dns1123_label(text),
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "uri": _is_uri,
    "uuid": _is_uuid(),
    "uuid3": _is_uuid("3"),
    "uuid4": _is_uuid("4"),
    "uuid5": _is_uuid("5"),
}


def fits_format(text: str, name: str) -> bool:
    """Whether a string is of a format; dashes in its name do not count."""
    check = _FORMATS.get(name.replace("-", ""))
    return check is None or check(text)
