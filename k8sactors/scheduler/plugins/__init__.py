"""Scheduling plugins, one file each."""
