"""A webhook as an actor: what a program of a user runs behind a Service.

It answers an AdmissionReview and a ConversionReview with a response, and any other review (of
images) with its status.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from k8sactors.actors import Actor, Message
from k8sactors.api.protocol import ADMISSION_REVIEW

Object = dict[str, Any]
# Takes the `request` of an AdmissionReview or a ConversionReview and gives its response; None: no
# answer at all. `patch` may be a list of operations; `result` may be left out of a conversion.
Review = Callable[[Object], Object | None]


class Webhook(Actor):
    """Answers reviews with what `review` decides."""

    def __init__(self, review: Review) -> None:
        self._review = review

    def on_message(self, message: Message) -> None:
        """Decide on one request."""
        if message.kind != ADMISSION_REVIEW:
            return
        _path, asked = message.payload
        response = self._review(asked.get("request", asked))
        if response is None:
            return
        if "request" not in asked:
            message.reply(ADMISSION_REVIEW, {**asked, "status": response})
            return
        patch = response.get("patch")
        if isinstance(patch, list):
            encoded = base64.b64encode(json.dumps(patch).encode()).decode()
            response = {**response, "patch": encoded, "patchType": "JSONPatch"}
        if "convertedObjects" in response:
            response = {"result": {"status": "Success"}, **response}
        response.setdefault("uid", asked["request"]["uid"])
        answer = {"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": response}
        message.reply(ADMISSION_REVIEW, answer)
