"""What a name may look like (documentation: "Object Names and IDs", "Labels and Selectors").

Each function gives the list of complaints about one text, empty when it is fine. Good texts
repeat endlessly (labels, container names), so answers are cached.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"

_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_label_1035 = re.compile(_LABEL_1035).fullmatch
_is_qualified = re.compile(_QUALIFIED).fullmatch
_is_config_key = re.compile(_CONFIG_KEY).fullmatch
_is_printable = re.compile(r"[ -<>-~]+").fullmatch

LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
    f"used for validation is '{_LABEL}')"
)
SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    f"for validation is '{_SUBDOMAIN}')"
)
LABEL_1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
    f"'abc-123', regex used for validation is '{_LABEL_1035}')"
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    f"validation is '{_QUALIFIED}')"
)
LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
    f"'my_value',  or '12345', regex used for validation is '({_QUALIFIED})?')"
)
CONFIG_KEY_MESSAGE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
    f"'{_CONFIG_KEY}')"
)
ENV_MESSAGE = (
    "a valid environment variable name must consist only of printable ASCII characters other "
    "than '='"
)
PORT_MESSAGE = "must be between 1 and 65535, inclusive"
IP_MESSAGE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_MESSAGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

LABEL_LENGTH_MAX = 63
SUBDOMAIN_LENGTH_MAX = 253
PORT_NAME_LENGTH_MAX = 15
PORT_MAX = 65535


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _complaints(text: str, limit: int, *, fits: bool, message: str) -> tuple[str, ...]:
    found = () if len(text) <= limit else (_too_long(limit),)
    return found if fits else (*found, message)


@lru_cache(maxsize=8192)
def dns1123_label(text: str) -> tuple[str, ...]:
    """Names of containers, volumes, namespaces."""
    fits = _is_label(text) is not None
    return _complaints(text, LABEL_LENGTH_MAX, fits=fits, message=LABEL_MESSAGE)


@lru_cache(maxsize=8192)
def dns1123_subdomain(text: str) -> tuple[str, ...]:
    """Names of most objects."""
    fits = _is_subdomain(text) is not None
    return _complaints(text, SUBDOMAIN_LENGTH_MAX, fits=fits, message=SUBDOMAIN_MESSAGE)


@lru_cache(maxsize=1024)
def dns1035_label(text: str) -> tuple[str, ...]:
    """Names of services: they become environment variables."""
    fits = _is_label_1035(text) is not None
    return _complaints(text, LABEL_LENGTH_MAX, fits=fits, message=LABEL_1035_MESSAGE)


@lru_cache(maxsize=1024)
def path_segment(text: str) -> tuple[str, ...]:
    """Names of roles and bindings: anything that can stand in a URL."""
    if text in {".", ".."}:
        return (f"may not be '{text}'",)
    return tuple(f"may not contain '{mark}'" for mark in "/%" if mark in text)


@lru_cache(maxsize=8192)
def qualified_name(text: str) -> tuple[str, ...]:
    """Keys of labels, annotations, resources: `name` or `prefix.example.com/name`."""
    prefix, slash, name = text.rpartition("/")
    found: list[str] = []
    if "/" in prefix:
        suffix = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"a qualified name {_QUALIFIED_TEXT} {suffix}",)
    if slash:
        if not prefix:
            found.append("prefix part must be non-empty")
        else:
            found += [f"prefix part {complaint}" for complaint in dns1123_subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > LABEL_LENGTH_MAX:
        found.append(f"name part {_too_long(LABEL_LENGTH_MAX)}")
    if not _is_qualified(name):
        found.append(f"name part {_QUALIFIED_TEXT}")
    return tuple(found)


@lru_cache(maxsize=8192)
def label_value(text: str) -> tuple[str, ...]:
    """Values of labels."""
    fits = not text or _is_qualified(text) is not None
    return _complaints(text, LABEL_LENGTH_MAX, fits=fits, message=LABEL_VALUE_MESSAGE)


@lru_cache(maxsize=1024)
def config_key(text: str) -> tuple[str, ...]:
    """Keys in ConfigMaps and Secrets: they become file names."""
    if text in {".", ".."}:
        return (f"must not be '{text}'",)
    if text.startswith(".."):
        return ("must not start with '..'",)
    fits = _is_config_key(text) is not None
    return _complaints(text, SUBDOMAIN_LENGTH_MAX, fits=fits, message=CONFIG_KEY_MESSAGE)


@lru_cache(maxsize=4096)
def env_name(text: str) -> tuple[str, ...]:
    """Names of environment variables."""
    return () if _is_printable(text) else (ENV_MESSAGE,)


@lru_cache(maxsize=1024)
def port_name(text: str) -> tuple[str, ...]:
    """Names of container ports (RFC 6335, section 5.1)."""
    found: list[str] = []
    if len(text) > PORT_NAME_LENGTH_MAX:
        found.append(f"must be no more than {PORT_NAME_LENGTH_MAX} characters")
    if not re.fullmatch(r"[-a-z0-9]+", text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return tuple(found)


def is_port(number: int) -> bool:
    """Whether it is a port that something can listen on."""
    return 0 < number <= PORT_MAX


@lru_cache(maxsize=1024)
def is_ip(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network of a CIDR, None when it is not one."""
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def special_ip(text: str) -> str | None:
    """Why an address cannot be that of a peer on the network, None when it can."""
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        return "may not be unspecified (0.0.0.0 or ::)"
    if address.is_loopback:
        return "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if address.is_link_local:
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if any(address in block for block in _LOCAL_MULTICAST):
        return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return None


_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))
