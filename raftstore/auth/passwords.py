"""Passwords as they are kept: salted scrypt hashes (RFC 7914), made before anything is proposed.

So no entry of the log, no snapshot and no message between members holds a password, and applying an
entry costs no hashing. The form names its parameters, so that they may change later::

    scrypt$<log2 of N>$<salt in hex>$<hash in hex>
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

# Log2 of scrypt's N: about 50 ms and 16 MiB for one hash.
DEFAULT_COST: Final = 14
SALT_BYTES: Final = 16
_BLOCK_SIZE: Final = 8
_HASH_BYTES: Final = 32
_MAX_COST: Final = 20
_FIELDS: Final = 4
# How the hashes of a real etcd begin. They are verified if the package bcrypt is installed.
BCRYPT: Final = "$2"
# What bcrypt takes of a password.
_BCRYPT_BYTES: Final = 72


def hash_password(password: str, salt: bytes, cost: int = DEFAULT_COST) -> str:
    """The form in which a password is kept."""
    return f"scrypt${cost}${salt.hex()}${_scrypt(password, salt, cost).hex()}"


def verify_password(password: str, kept: str) -> bool:
    """Whether this is the password that was hashed; takes as long for a wrong one."""
    if kept.startswith(BCRYPT):
        return _verify_bcrypt(password, kept)
    if not is_hash(kept):
        return False
    _, cost, salt, expected = kept.split("$")
    found = _scrypt(password, bytes.fromhex(salt), int(cost))
    return hmac.compare_digest(found, bytes.fromhex(expected))


def _verify_bcrypt(password: str, kept: str) -> bool:
    """A password that a real etcd has hashed, and a snapshot has brought here."""
    try:
        import bcrypt  # noqa: PLC0415 - an optional extra
    except ImportError:
        return False
    try:
        return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], kept.encode())
    except ValueError:
        return False


def is_hash(text: str) -> bool:
    """Whether the text has the form that `hash_password` gives."""
    fields = text.split("$")
    if len(fields) != _FIELDS or fields[0] != "scrypt" or not fields[1].isdigit():
        return False
    try:
        sizes = [len(bytes.fromhex(field)) for field in fields[2:]]
    except ValueError:
        return False
    return 0 < int(fields[1]) <= _MAX_COST and sizes == [SALT_BYTES, _HASH_BYTES]


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    # What N and the block size need, and as much again.
    memory_bytes = 256 * _BLOCK_SIZE << cost
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=1 << cost,
        r=_BLOCK_SIZE,
        p=1,
        maxmem=memory_bytes,
        dklen=_HASH_BYTES,
    )
