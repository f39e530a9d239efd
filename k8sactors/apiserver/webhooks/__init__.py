"""Admission webhooks and policies: which writes they see, and how webhooks are asked."""
