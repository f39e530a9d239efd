"""Throughput and latency measurements, run as python -m benches.NAME."""
