"""Resource quantities: exact arithmetic on what people write as `100m`, `1.5Gi` or `2e3`.

Kubernetes (API conventions, "Quantity") reads a decimal number with an optional suffix, never
loses precision below nano, and writes a canonical form: no fraction, largest suffix that keeps it
so, and the family of the suffix that was read. Components compare and add quantities all the
time, so parsing is cached and cpu and memory have integer forms.
"""

from __future__ import annotations

import re
from enum import Enum
from fractions import Fraction
from functools import lru_cache

import attrs

from k8sactors.api.errors import QuantityError

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_NAMES = {power: suffix for suffix, power in _BINARY.items()}
_SYNTAX = re.compile(
    r"([+-]?)(\d+\.?\d*|\.\d+)(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d+))?", re.ASCII
)
_NANO = 10**9
_MILLI = 10**3
_LARGEST = 2**63 - 1
SYNTAX_MESSAGE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


class Format(Enum):
    """The suffix family in which a quantity is written."""

    DECIMAL_EXPONENT = "DecimalExponent"
    BINARY_SI = "BinarySI"
    DECIMAL_SI = "DecimalSI"


@attrs.frozen(order=False)
class Quantity:
    """An exact amount and the suffix family it was read in."""

    value: Fraction
    format: Format = Format.DECIMAL_SI

    def __str__(self) -> str:
        return format_quantity(self.value, self.format)


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Quantity:
    """The quantity in `text`; raises QuantityError. Fractions finer than nano are rounded up."""
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise QuantityError(SYNTAX_MESSAGE)
    sign, digits, binary, decimal, exponent = match.groups()
    value = Fraction(digits)
    family = Format.DECIMAL_SI
    if binary:
        value *= 1024 ** _BINARY[binary]
        family = Format.BINARY_SI
    elif decimal:
        value *= Fraction(10) ** _DECIMAL[decimal]
    elif exponent is not None:
        power = int(exponent)
        # Beyond these the value is out of range anyway; a huge exponent must not build a huge
        # integer.
        value *= Fraction(10) ** max(-64, min(power, 64))
        family = Format.DECIMAL_EXPONENT
    value = min(value, Fraction(_LARGEST))
    scaled = value * _NANO
    if scaled.denominator != 1:
        value = Fraction(-((-scaled.numerator) // scaled.denominator), _NANO)
    return Quantity(-value if sign == "-" else value, family)


def parse(text: str | float) -> Fraction:
    """The exact amount in `text` (JSON numbers are accepted as Kubernetes accepts them)."""
    return parse_quantity(text if isinstance(text, str) else str(text)).value


def _ceil(value: Fraction) -> int:
    return -((-value.numerator) // value.denominator)


@lru_cache(maxsize=4096)
def parse_cpu_milli(text: str | float) -> int:
    """Processor time in thousandths of a core, rounded up."""
    return _ceil(parse(text) * _MILLI)


@lru_cache(maxsize=4096)
def parse_memory_bytes(text: str | float) -> int:
    """Bytes (or any other counted resource) as an integer, rounded up."""
    return _ceil(parse(text))


parse_int = parse_memory_bytes


def format_quantity(value: Fraction | int, family: Format = Format.DECIMAL_SI) -> str:
    """The canonical text of an amount (exact to the nano)."""
    value = Fraction(value)
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    value = abs(value)
    if family is Format.BINARY_SI and value >= 1024 and value.denominator == 1:  # noqa: PLR2004 - the family's base
        return sign + _format_binary(value.numerator)
    number, exponent = _canonical_decimal(value)
    if family is Format.DECIMAL_EXPONENT:
        return f"{sign}{number}e{exponent}" if exponent else f"{sign}{number}"
    return f"{sign}{number}{_DECIMAL_NAMES[exponent]}"


def _format_binary(amount: int) -> str:
    power = 0
    while power < len(_BINARY) and amount % 1024 == 0:
        amount //= 1024
        power += 1
    return f"{amount}{_BINARY_NAMES[power]}" if power else str(amount)


def _canonical_decimal(value: Fraction) -> tuple[int, int]:
    nano = _ceil(value * _NANO)
    exponent = -9
    while exponent < 18 and nano % 1000 == 0:  # noqa: PLR2004 - the largest suffix is E, 10**18
        nano //= 1000
        exponent += 3
    return nano, exponent


@lru_cache(maxsize=4096)
def canonical(text: str | float) -> str:
    """The canonical form of a quantity as the API server would write it back."""
    return _canonical_text(text if isinstance(text, str) else str(text))


@lru_cache(maxsize=4096)
def _canonical_text(text: str) -> str:
    return str(parse_quantity(text))


@lru_cache(maxsize=4096)
def canonical_milli(text: str | float) -> str:
    """As `canonical`, with fractions finer than milli rounded up: the form of a ResourceList."""
    parsed = parse_quantity(text if isinstance(text, str) else str(text))
    milli = parsed.value * _MILLI
    if milli.denominator == 1:
        return str(parsed)
    return format_quantity(Fraction(_ceil(milli), _MILLI), parsed.format)
