"""CronJob controller: Jobs at the times of a schedule. `times` says when, `controller` the rest."""

from __future__ import annotations

from k8sactors.controllers.cronjob.controller import CronJobController

__all__ = ["CronJobController"]
