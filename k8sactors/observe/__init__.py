"""Logs, the message trace, real time for people who wait."""
