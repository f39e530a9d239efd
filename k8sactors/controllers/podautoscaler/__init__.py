"""HorizontalPodAutoscaler controller: as many pods as their metrics ask for.

`controller` looks at each autoscaler every 15 seconds, `replicas` works out what a metric asks for,
`behavior` limits how fast it is followed, `metrics` is where the values come from.
"""

from __future__ import annotations

from k8sactors.controllers.podautoscaler.controller import HorizontalPodAutoscalerController

__all__ = ["HorizontalPodAutoscalerController"]
