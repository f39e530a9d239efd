"""A member: drives raft and mvcc over a transport and a disk."""
