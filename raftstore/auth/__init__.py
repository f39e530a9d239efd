"""Users, roles and permissions: who may read and write which keys, as etcd's v3 auth has it.

Pure: no clock, no randomness, no I/O. `Auth` is a section of the replicated state; what of it must
not wait for the log (who a token stands for, making hashes) the server does with it.
"""

from __future__ import annotations

from raftstore.auth.passwords import hash_password, verify_password
from raftstore.auth.section import ANONYMOUS, AS_USER, CLUSTER, INTERNAL_OPS, Auth, Identity

__all__ = [
    "ANONYMOUS",
    "AS_USER",
    "CLUSTER",
    "INTERNAL_OPS",
    "Auth",
    "Identity",
    "hash_password",
    "verify_password",
]
