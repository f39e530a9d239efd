"""What all reviews do: decode the question, answer it, and send it back with the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from k8sactors.api import codec
from k8sactors.apiserver import object_rules, request_body
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.subresource import CREATED

Object = dict[str, Any]


class Runner(Protocol):
    """What runs a step that may have to wait (`registry.Registry`)."""

    def run(self, call: Call, step: Callable[..., None], *args: Any) -> None:
        """Run a step of a call; what it raises is answered."""


class Review(ABC):
    """One kind of review."""

    # The resource's unique name.
    resource: ClassVar[str]

    @abstractmethod
    def decide(self, call: Call, spec: Object, obj: Object) -> Object:
        """The status, which answers the question in `spec`.

        Raises:
            StatusError: 400 or 422, this is no question.
            LookupNeededError: the store must be asked first.
        """


def answer(runner: Runner, review: Review, call: Call) -> None:
    """Answer a review."""
    info = call.resource.info
    obj = request_body.decode_object(call, info.kind)
    request_body.set_kind(obj, info.api_version, info.kind)
    metadata = request_body.metadata_of(obj)
    if info.namespaced:
        object_rules.set_namespace(metadata, call)
    obj = request_body.complete(call, obj)
    runner.run(call, _decide, review, call, obj)


def _decide(review: Review, call: Call, obj: Object) -> None:
    spec = obj.get("spec") or {}
    status = review.decide(call, spec, obj)
    metadata = {**obj["metadata"], "creationTimestamp": None}
    answered = {**obj, "metadata": metadata, "status": status}
    if "spec" in obj:
        answered["spec"] = spec
    call.succeed(CREATED, 0, codec.encode(answered))
