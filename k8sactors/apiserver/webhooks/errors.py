"""What can go wrong when a webhook is asked.

WebhookError
├── CallError      it was not reached, or has not answered in time
└── AnswerError    its answer is of another form
"""

from __future__ import annotations


class WebhookError(Exception):
    """The root of this package's errors."""


class CallError(WebhookError):
    """The webhook was not reached, or has not answered."""


class AnswerError(WebhookError):
    """The webhook's answer is no answer to what it was asked."""
