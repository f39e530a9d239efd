"""CRC-32C (Castagnoli), with which etcd's tools name the content of a snapshot.

The standard library has no CRC-32C. Byte by byte in Python a gigabyte would take minutes, so the
data is cut into lanes of equal length that are worked off side by side, and the lanes' checks are
joined by twos: the check of ``a + b`` is the check of `a`, moved by as many zero bytes as `b` has,
xor the check of `b`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

POLYNOMIAL: Final = 0x82F63B78
# Shorter data is worked off byte by byte.
LANE_BYTES: Final = 512
ALL: Final = 0xFFFFFFFF

Words = npt.NDArray[np.uint32]


def _make_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE: Final = _make_table()
_WORDS: Final[Words] = np.array(_TABLE, dtype=np.uint32)


def crc32c(data: bytes, value: int = 0) -> int:
    """The CRC-32C of data behind other data whose CRC-32C is `value`."""
    register = value ^ ALL
    lanes = len(data) // LANE_BYTES
    # A power of two, so that joining by twos comes out even.
    lanes = 1 << (lanes.bit_length() - 1) if lanes else 0
    done = 0
    if lanes > 1:
        done = lanes * LANE_BYTES
        block = np.frombuffer(data, dtype=np.uint8, count=done).reshape(lanes, LANE_BYTES)
        register = _apply(_shift(done), register) ^ _join(_work_off(block))
        if len(data) - done > LANE_BYTES * 2:
            return crc32c(data[done:], register ^ ALL)
    for byte in data[done:]:
        register = _TABLE[(register ^ byte) & 0xFF] ^ register >> 8
    return register ^ ALL


def _work_off(block: npt.NDArray[np.uint8]) -> Words:
    """The register of each lane, begun with 0."""
    registers: Words = np.zeros(len(block), dtype=np.uint32)
    for column in np.ascontiguousarray(block.T):
        registers = _WORDS[(registers ^ column) & 0xFF] ^ registers >> np.uint32(8)
    return registers


def _join(registers: Words) -> int:
    length = LANE_BYTES
    while len(registers) > 1:
        tables = _shift(length)
        left, right = registers[0::2], registers[1::2]
        moved: Any = tables[0][left & 0xFF]
        for place in (1, 2, 3):
            moved = moved ^ tables[place][left >> np.uint32(8 * place) & 0xFF]
        registers = moved ^ right
        length *= 2
    return int(registers[0])


def _apply(tables: tuple[Words, ...], register: int) -> int:
    result = 0
    for place in range(4):
        result ^= int(tables[place][register >> 8 * place & 0xFF])
    return result


@cache
def _shift(length: int) -> tuple[Words, ...]:
    """What `length` zero bytes make of a register: a table for each of its bytes."""
    if length == 1:
        singles = [1 << bit for bit in range(32)]
        columns = [_TABLE[single & 0xFF] ^ single >> 8 for single in singles]
    else:
        half = _shift(length // 2)
        columns = [_apply(half, _apply(half, 1 << bit)) for bit in range(32)]
        if length % 2:
            one = _shift(1)
            columns = [_apply(one, column) for column in columns]
    tables = []
    for place in range(4):
        table = np.zeros(256, dtype=np.uint32)
        for bit in range(8):
            chosen = np.arange(256) >> bit & 1 == 1
            table[chosen] ^= np.uint32(columns[8 * place + bit])
        tables.append(table)
    return tuple(tables)
