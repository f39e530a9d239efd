"""The Deployment controller: rollouts from one template to the next, by way of ReplicaSets."""

from __future__ import annotations

from k8sactors.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
