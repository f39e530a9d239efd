"""What can go wrong between the API server and its store.

ApiServerError
├── StoreError               the store did not do what it was asked
│   ├── StoreUnavailableError    nobody answers; the request was certainly not carried out
│   ├── UnknownOutcomeError      the write may or may not have been carried out
│   └── CompactedError           the revision asked for is no longer kept
└── LookupNeededError        a handler needs a key that no cache has: read it and run again

What a client sees is always `k8sactors.api.errors.StatusError`.
"""

from __future__ import annotations


class ApiServerError(Exception):
    """Root of the API server's errors."""


class StoreError(ApiServerError):
    """The store refused or failed."""


class StoreUnavailableError(StoreError):
    """No store member answers; nothing was written."""


class UnknownOutcomeError(StoreError):
    """A write whose answer was lost: it may have been committed."""


class CompactedError(StoreError):
    """The revision has been compacted away; `compact_revision` is the oldest that is kept."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__("mvcc: required revision has been compacted")
        self.compact_revision = compact_revision


class LookupNeededError(ApiServerError):
    """Raised by a synchronous handler that must know the store's current value of `key`."""

    def __init__(self, key: bytes, wait_ns: int = 0) -> None:
        super().__init__(key.decode())
        self.key = key
        # How long the key may take to appear.
        self.wait_ns = wait_ns
