"""The `k8sactors` command line: one module per command."""

from __future__ import annotations

from k8sactors.cli.main import main

__all__ = ["main"]
