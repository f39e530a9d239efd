"""Faults of a disk on the bytes of a log: what a crash tears, and what rots unnoticed.

A simulated disk keeps records as objects. When a fault is to strike, they become the bytes that a
real log has, the fault strikes those, and the reader of real logs says what is left.
"""

from __future__ import annotations

from typing import Final

from raftstore.raft.state import Rng
from raftstore.storage import framing
from raftstore.storage.errors import CorruptWalError
from raftstore.storage.framing import Damage
from raftstore.storage.records import WalRecord, decode_items, encode_items, refer

KIND: Final = 9
SALT: Final = 0x5EED
BITS_PER_BYTE: Final = 8


def torn(records: list[WalRecord], rng: Rng) -> list[WalRecord]:
    """What a crash leaves of records that were not synced: those before a random byte.

    They come back as they were read from the bytes; snapshots lie in files of their own and are
    taken over.
    """
    data = b"".join(_encode(records))
    found, _ = _decode(data[: rng.randrange(0, len(data))], records)
    return found


def rotten(records: list[WalRecord], rng: Rng, path: str) -> CorruptWalError | None:
    """What a reader says when a random bit has flipped; None: there is nothing to hit.

    The last record is spared: a log cannot tell its rot from a torn tail (see docs/durability.md).
    """
    frames = _encode(records)
    data = bytearray(b"".join(frames))
    end = len(data) - len(frames[-1]) if frames else 0
    if not end:
        return None
    data[rng.randrange(0, end)] ^= 1 << rng.randrange(0, BITS_PER_BYTE)
    _, damage = _decode(bytes(data), records)
    assert damage is not None, "a flipped bit is always found"
    sound = framing.find_sound(bytes(data), damage.offset + 1, SALT)
    assert sound is not None, "the last record is sound"
    return CorruptWalError(
        path, damage.offset, f"{damage.what}, and a sound frame follows at offset {sound}"
    )


def _encode(records: list[WalRecord]) -> list[bytes]:
    frames: list[bytes] = []
    link = 0
    for record in records:
        frame, link = framing.encode(KIND, encode_items([refer(record)]), link, SALT)
        frames.append(frame)
    return frames


def _decode(data: bytes, originals: list[WalRecord]) -> tuple[list[WalRecord], Damage | None]:
    records: list[WalRecord] = []
    for frame in framing.read(data, 0, 0, SALT):
        if isinstance(frame, Damage):
            return records, frame
        (item,), _ = decode_items(frame.payload)
        original = originals[len(records)]
        snapshot = original.snapshot if item.reference is not None else None
        records.append(WalRecord(item.hard_state, item.entries, snapshot))
    return records, None
