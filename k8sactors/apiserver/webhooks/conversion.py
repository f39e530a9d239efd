"""Conversion of custom resources by a webhook: ConversionReview v1.

A conversion is needed in the middle of a step, which cannot wait. So what a webhook has answered is
kept for a while: a step that needs more is suspended, and run again when the answer is there. The
answer is a function of the object, but for metadata that webhooks may not change: that is taken
from the object, so that one version of an object is converted once for all of its readers.

Source: `apiextensions-apiserver/pkg/apiserver/conversion` and the documentation of versions of
custom resources, "Webhook conversion".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from k8sactors.api import codec, errors, meta
from k8sactors.api.errors import Cause
from k8sactors.api.validation.metadata import check_annotations, check_labels
from k8sactors.apiserver.conversion_needed import ConversionNeededError
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.webhooks.calling import Caller
from k8sactors.apiserver.webhooks.errors import AnswerError, CallError

Object = dict[str, Any]
Resume = Callable[[], None]

API_VERSION: Final = "apiextensions.k8s.io/v1"
KIND: Final = "ConversionReview"
TIMEOUT_S: Final = 30
# Converted objects that are kept.
KEPT: Final = 4096
_CHANGEABLE: Final = ("labels", "annotations")
# What changes with every write, and cannot be changed by a conversion.
_VOLATILE: Final = frozenset({"resourceVersion", "managedFields", "generation", "uid"})
_CREATED: Final = "creationTimestamp"


class ConversionWebhook:
    """What converts the objects of one definition, by its `spec.conversion.webhook`."""

    def __init__(self, environment: Environment, caller: Caller, webhook: Object) -> None:
        self._environment = environment
        self._caller = caller
        self._config: Object = webhook.get("clientConfig") or {}
        self._known: dict[tuple[str, bytes], Object] = {}
        # Why a question had no answer: told to the step that asked, and forgotten.
        self._failed: dict[tuple[str, bytes], str] = {}

    def convert(self, obj: Object, wanted: str) -> Object:
        """The object in the version `wanted`.

        Raises:
            ConversionNeededError: the webhook must be asked first.
            StatusError: 500, it was asked, and has given no such object.
        """
        if obj.get("apiVersion") == wanted:
            return obj
        key = _key(obj, wanted)
        failure = self._failed.pop(key, None)
        if failure is not None:
            raise errors.internal_error(failure)
        found = self._known.get(key)
        if found is None:
            raise ConversionNeededError(self.ask, obj, wanted)
        return {**found, "metadata": _restored(obj["metadata"], found["metadata"])}

    def ask(self, objects: Sequence[Object], wanted: str, resume: Resume) -> None:
        """Ask for objects in another version; `resume` when there is an answer, or none."""
        uid = meta.new_uid(self._environment.random)
        request = {"uid": uid, "desiredAPIVersion": wanted, "objects": list(objects)}
        review = {"kind": KIND, "apiVersion": API_VERSION, "request": request}
        first = objects[0]
        named = f"{first.get('apiVersion')}, Kind={first.get('kind')}"

        def failed(error: CallError | AnswerError) -> None:
            text = f"conversion webhook for {named} {error}"
            for each in objects:
                self._failed[_key(each, wanted)] = text
            resume()

        def unreached(error: CallError) -> None:
            failed(CallError(f"failed: {error}"))

        def answered(answer: Any) -> None:
            try:
                converted = _converted(answer, uid, objects, wanted)
            except AnswerError as error:
                failed(error)
                return
            for old, new in zip(objects, converted, strict=True):
                key = _key(old, wanted)
                self._known.pop(key, None)
                self._known[key] = new
            # The objects of one answer are needed together.
            excess = len(self._known) - KEPT - len(objects)
            for key in list(self._known)[: max(excess, 0)]:
                del self._known[key]
            resume()

        self._caller.ask(self._config, TIMEOUT_S, review, answered, unreached)


def _key(obj: Object, wanted: str) -> tuple[str, bytes]:
    metadata = {
        field: value
        for field, value in (obj.get("metadata") or {}).items()
        if field not in _VOLATILE and field != _CREATED
    }
    return wanted, codec.encode_value({**obj, "metadata": metadata})


def _restored(original: Object, converted: Object) -> Object:
    """The metadata of an object with the labels and annotations of its conversion."""
    metadata = dict(original)
    for field in _CHANGEABLE:
        if converted.get(field) is None:
            metadata.pop(field, None)
        else:
            metadata[field] = converted[field]
    return metadata


def _converted(answer: Any, uid: str, asked: Sequence[Object], wanted: str) -> list[Object]:
    """The objects of an answer, in the order of the question.

    Raises:
        AnswerError: it is of another form, says that it failed, or has other objects.
    """
    objects = _response(answer, uid)
    if len(objects) != len(asked):
        raise AnswerError(f"returned {len(objects)} objects, expected {len(asked)}")
    for place, (old, new) in enumerate(zip(asked, objects, strict=True)):
        where = f"returned invalid converted object at index {place}:"
        if not isinstance(new, dict):
            raise AnswerError(f"{where} not an object")
        for field, name in (("apiVersion", "groupVersion"), ("kind", "kind")):
            expected = wanted if field == "apiVersion" else old["kind"]
            if new.get(field) != expected:
                text = f"invalid {name} (expected {expected}, received {new.get(field) or ''})"
                raise AnswerError(f"{where} {text}")
        _check_metadata(old["metadata"], new.get("metadata"), where)
    return objects


def _response(answer: Any, uid: str) -> list[Any]:
    if not isinstance(answer, dict):
        raise AnswerError("failed: couldn't get version/kind; json parse error: not an object")
    found = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
    if found != f"{API_VERSION}, Kind={KIND}":
        text = f"expected webhook response of {API_VERSION}, Kind={KIND}, got {found}"
        raise AnswerError(f"failed: {text}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise AnswerError("failed: no response provided")
    if response.get("uid") != uid:
        text = f'expected response.uid="{uid}", got "{response.get("uid") or ""}"'
        raise AnswerError(f"failed: {text}")
    result = response.get("result")
    if not isinstance(result, dict) or result.get("status") != "Success":
        result = result if isinstance(result, dict) else {}
        text = f"response.result.status was '{result.get('status') or ''}', not 'Success'"
        raise AnswerError(f"failed: {result.get('message') or text}")
    objects = response.get("convertedObjects")
    return objects if isinstance(objects, list) else []


def _check_metadata(old: Object, new: Any, where: str) -> None:
    if not isinstance(new, dict):
        raise AnswerError(f"{where} missing metadata in converted object")
    for field, name in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        if (old.get(field) or "") != (new.get(field) or ""):
            text = f"must have the same {name}: {old.get(field) or ''} != {new.get(field) or ''}"
            raise AnswerError(f"{where} {text}")
    for field, check in (("labels", check_labels), ("annotations", check_annotations)):
        values = new.get(field)
        if values is None or values == old.get(field):
            continue
        if not isinstance(values, dict):
            raise AnswerError(f"{where} invalid metadata.{field} in converted object")
        for key, value in values.items():
            if not isinstance(value, str):
                text = f"metadata.{field}[{key}] must be a string in converted object"
                raise AnswerError(f"{where} {text}")
        causes: list[Cause] = []
        check(values, f"metadata.{field}", causes)
        if causes:
            raise AnswerError(f"{where} {errors.aggregate(causes)}")
