"""Judges of a finished or running history."""
