"""The `k8sactors` command line: one module per command."""

from k8sactors.cli.main import main

__all__ = ["main"]
