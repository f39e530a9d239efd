"""What a pod as a whole requests and is limited to.

Source: documentation of pod QoS and of init containers, "Resource sharing within containers", and
KEP-753 (sidecar containers): the containers add up; an init container needs what it asks for next
to the sidecars that were started before it; the larger of both counts. Pod-level resources
(KEP-2837) replace the sum where they are given, and the overhead of the RuntimeClass is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from k8sactors.api import quantity
from k8sactors.api.quantity import Format

Fields = Mapping[str, Any]
Amounts = dict[str, Fraction]


def pod_requests(spec: Fields) -> dict[str, str]:
    """The requests of a pod, as quantities in canonical form."""
    return _texts(spec, "requests", _total(spec, "requests"))


def pod_limits(spec: Fields) -> dict[str, str]:
    """The limits of a pod, as quantities in canonical form."""
    return _texts(spec, "limits", _total(spec, "limits"))


def _total(spec: Fields, kind: str) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _amounts(container, kind))
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            _add(own, sidecars)
        for name, amount in own.items():
            largest[name] = max(amount, largest.get(name, amount))
    for name, amount in largest.items():
        total[name] = max(amount, total.get(name, amount))
    total.update(_amounts(spec, kind))
    overhead = spec.get("overhead") or {}
    for name, text in overhead.items():
        if kind == "requests" or name in total:
            total[name] = total.get(name, Fraction(0)) + quantity.parse(text)
    return total


def _amounts(holder: Fields, kind: str) -> Amounts:
    given = (holder.get("resources") or {}).get(kind) or {}
    return {name: quantity.parse(text) for name, text in given.items()}


def _add(total: Amounts, added: Amounts) -> None:
    for name, amount in added.items():
        total[name] = total.get(name, Fraction(0)) + amount


def _texts(spec: Fields, kind: str, total: Amounts) -> dict[str, str]:
    formats: dict[str, Format] = {}
    holders = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ()), spec]
    for holder in holders:
        for name, text in ((holder.get("resources") or {}).get(kind) or {}).items():
            formats.setdefault(name, quantity.parse_quantity(str(text)).format)
    return {
        name: quantity.format_quantity(amount, formats.get(name, Format.DECIMAL_SI))
        for name, amount in total.items()
    }
