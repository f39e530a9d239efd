"""The persistent volume binder: claims and volumes find each other, and part again."""

from __future__ import annotations

from k8sactors.controllers.persistentvolume_binder.controller import PersistentVolumeBinder

__all__ = ["PersistentVolumeBinder"]
