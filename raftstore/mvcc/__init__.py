"""Revisions, key index, transactions, watches, leases and compaction, without I/O."""
