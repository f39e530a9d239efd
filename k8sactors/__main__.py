"""`python -m k8sactors`: the same as the `k8sactors` command."""

from __future__ import annotations

from k8sactors.cli import main

if __name__ == "__main__":
    main(prog_name="k8sactors")
