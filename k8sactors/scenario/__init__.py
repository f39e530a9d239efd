"""The scenario file: parse, run, report."""
