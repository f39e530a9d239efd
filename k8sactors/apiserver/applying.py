"""The applied configuration in a request's body: what server-side apply makes of an object.

Sources: KEP-555, and `endpoints/handlers/patch.go` of the real server (applyPatcher).
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import errors, schema
from k8sactors.apiserver import request_body
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.subresource import Subresource

Object = dict[str, Any]


class AppliedConfiguration:
    """An applied configuration, decoded."""

    def __init__(self, call: Call, part: Subresource) -> None:
        """Decode the configuration in a call's body.

        Raises:
            StatusError: 400 or 413, it is no object.
        """
        document = request_body.decode_value(call)
        if not isinstance(document, dict):
            raise errors.bad_request(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
                f"unmarshal {schema.json_type(document)} into Go value of type "
                "map[string]interface {}"
            )
        self._document: Object = document
        self._call = call
        self._field_manager = part.field_manager(call)

    def apply(self, live: Object | None) -> Object:
        """What the configuration makes of an object, or of none; with its managedFields.

        Raises:
            StatusError: 400, it is malformed; 409, it changes fields of other managers.
        """
        options = self._call.options
        return self._field_manager.apply(
            live,
            self._document,
            options["fieldManager"],
            self._call.environment.now(),
            force=bool(options.get("force")),
        )


def check_new(call: Call, obj: Object) -> None:
    """Refuse to create an object that was meant to be there.

    Raises:
        StatusError: 409.
    """
    uid = request_body.metadata_of(obj).get("uid")
    if uid:
        raise errors.conflict(
            call.resource.info,
            call.name,
            f"uid mismatch: the provided object specified uid {uid}, and no existing object was "
            "found",
        )
