"""The attach/detach controller: which volumes are attached to which nodes."""

from __future__ import annotations

from k8sactors.controllers.attach_detach.controller import AttachDetachController

__all__ = ["AttachDetachController"]
