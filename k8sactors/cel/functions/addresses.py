"""Addresses and networks: `ip("10.0.0.1")`, `cidr("10.0.0.0/8").containsIP("10.1.2.3")`."""

from __future__ import annotations

import ipaddress
from typing import Any

from k8sactors.cel.declaration import Overload, Type, function, method
from k8sactors.cel.types import CIDR, IP

_LINK_LOCAL_MULTICAST = (
    ipaddress.ip_network("224.0.0.0/24"),
    ipaddress.ip_network("ff02::/16"),
)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as Kubernetes takes it: no zone, and no IPv4 address in an IPv6 one."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(
            f"IP Address {text!r} parse error during conversion from string"
        ) from error
    if "%" in text or (isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped):
        raise ValueError(f"IPv4-mapped or zoned IPv6 address {text!r} is not allowed")
    return found


def _network(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    if "/" not in text:
        raise ValueError(f"network address parse error during conversion from string: {text!r}")
    _address(text.partition("/")[0])
    return ipaddress.ip_interface(text)


def _is_valid(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _ip(message: Any) -> Any:
    return ipaddress.ip_address(message.text)


def _cidr(message: Any) -> Any:
    return ipaddress.ip_interface(message.text)


def _is_global_unicast(message: Any) -> bool:
    address = _ip(message)
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or str(address) == "255.255.255.255"
    )


def _contains_ip(message: Any, other: Any) -> bool:
    address = _address(other) if isinstance(other, str) else _ip(other)
    return address in _cidr(message).network


def _contains_cidr(message: Any, other: Any) -> bool:
    inner = _network(other).network if isinstance(other, str) else _cidr(other).network
    outer = _cidr(message).network
    return bool(inner.version == outer.version and inner.subnet_of(outer))


_ONE, _NET = IP, CIDR
OVERLOADS: tuple[Overload, ...] = (
    function("ip", [Type.STRING], _ONE, lambda text: IP.make(str(_address(text)))),
    function("isIP", [Type.STRING], Type.BOOL, lambda text: _is_valid(_address, text)),
    function("ip.isCanonical", [Type.STRING], Type.BOOL, lambda t: str(_address(t)) == t),
    function("string", [_ONE], Type.STRING, lambda ip: ip.text),
    method("family", [_ONE], Type.INT, lambda ip: _ip(ip).version),
    method("isUnspecified", [_ONE], Type.BOOL, lambda ip: _ip(ip).is_unspecified),
    method("isLoopback", [_ONE], Type.BOOL, lambda ip: _ip(ip).is_loopback),
    method("isLinkLocalUnicast", [_ONE], Type.BOOL, lambda ip: _ip(ip).is_link_local),
    method(
        "isLinkLocalMulticast",
        [_ONE],
        Type.BOOL,
        lambda ip: any(_ip(ip) in network for network in _LINK_LOCAL_MULTICAST),
    ),
    method("isGlobalUnicast", [_ONE], Type.BOOL, _is_global_unicast),
    function("cidr", [Type.STRING], _NET, lambda text: CIDR.make(str(_network(text)))),
    function("isCIDR", [Type.STRING], Type.BOOL, lambda text: _is_valid(_network, text)),
    function("string", [_NET], Type.STRING, lambda net: net.text),
    method("containsIP", [_NET, Type.STRING], Type.BOOL, _contains_ip),
    method("containsIP", [_NET, _ONE], Type.BOOL, _contains_ip),
    method("containsCIDR", [_NET, Type.STRING], Type.BOOL, _contains_cidr),
    method("containsCIDR", [_NET, _NET], Type.BOOL, _contains_cidr),
    method("ip", [_NET], _ONE, lambda net: IP.make(str(_cidr(net).ip))),
    method("masked", [_NET], _NET, lambda net: CIDR.make(str(_cidr(net).network))),
    method("prefixLength", [_NET], Type.INT, lambda net: _cidr(net).network.prefixlen),
)
