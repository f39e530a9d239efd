"""A subclass that lacks a method which its base class asks for cannot be made."""

from __future__ import annotations

import inspect

import pytest

from k8sactors.controllers.machinery.controller import Controller
from k8sactors.controllers.machinery.replicas import ReplicaController
from k8sactors.network.kernel_client import KernelClient
from k8sactors.scheduler.framework import interfaces

POINTS = [
    each
    for name, each in vars(interfaces).items()
    if inspect.isclass(each) and name.endswith("Plugin") and name != "Plugin"
]


@pytest.mark.parametrize("base", [*POINTS, Controller, ReplicaController, KernelClient])
def test_a_subclass_without_the_method_is_refused(base: type) -> None:
    incomplete = type("Incomplete", (base,), {})
    with pytest.raises(TypeError, match="abstract method"):
        incomplete(None)
