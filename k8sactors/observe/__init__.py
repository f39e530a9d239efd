"""Logs, metrics, message trace, timelines and reports."""
