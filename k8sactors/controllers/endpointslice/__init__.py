"""The EndpointSlice controller: the endpoints of Services, in slices of 100."""

from __future__ import annotations

from k8sactors.controllers.endpointslice.controller import EndpointSliceController

__all__ = ["EndpointSliceController"]
