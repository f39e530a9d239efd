"""What can go wrong when an API server is configured, and between it and its store.

ApiServerError
├── UnknownPluginError       the configuration names an admission plugin that cannot be chosen
├── StoreError               the store did not do what it was asked
│   ├── StoreUnavailableError    no member answers; the request was certainly not carried out
│   ├── UnknownOutcomeError      the write may or may not have been carried out
│   ├── CompactedError           the revision asked for is no longer kept
│   └── FutureRevisionError      the revision asked for has not been reached
├── AuthorizationConfigurationError  authorizers that are described badly
├── AuditPolicyError         an audit policy that is malformed
├── InvalidTokenError        a token, or a key for tokens, that is good for nothing
├── OidcConfigurationError   issuers of tokens, or their keys, are described badly
└── TokenFileError           a file of tokens that cannot be read

What a client sees is always `k8sactors.api.errors.StatusError`.
"""

from __future__ import annotations


class ApiServerError(Exception):
    """Root of the API server's errors."""


class UnknownPluginError(ApiServerError):
    """There is no such admission plugin, or it is to be on and off."""


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


class FutureRevisionError(StoreError):
    """The revision that was asked for has not been reached."""


class InvalidTokenError(ApiServerError):
    """A token that proves nothing, or a key that cannot sign; the text never shows any of it."""


class TokenFileError(ApiServerError):
    """A file of tokens that cannot be read; the text names the line and shows nothing of it."""


class OidcConfigurationError(ApiServerError):
    """Issuers of tokens, or their keys, that are not described as they must be."""


class AuditPolicyError(ApiServerError):
    """An audit policy that is malformed; the text says where."""


class AuthorizationConfigurationError(ApiServerError):
    """Authorizers that are not described as they must be; a line for each mistake."""
