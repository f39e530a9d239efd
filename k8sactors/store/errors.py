"""Errors of a store that is no part of the cluster.

StoreUnreachableError   a real store does not answer, or holds another cluster
"""

from __future__ import annotations


class StoreUnreachableError(Exception):
    """A real store does not answer, or holds another cluster; the message says what to do."""
