"""Job controller: work that ends.

`controller` says when to look at a Job, `sync` what to do then. The rules stand by themselves:
`indexes`, `failure_policy`, `success_policy`, `backoff`, `per_index`. `tracking` counts every pod
that has ended exactly once.
"""

from __future__ import annotations

from k8sactors.controllers.job.controller import JobController

__all__ = ["JobController"]
