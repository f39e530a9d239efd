"""deletecollection: every object of a list is deleted as if alone; the last one answers."""

from __future__ import annotations

from typing import Any

from k8sactors.api import codec
from k8sactors.api.effects import Deletion
from k8sactors.api.errors import StatusError
from k8sactors.api.protocol import REQUEST, request
from k8sactors.apiserver import request_body
from k8sactors.apiserver.call import Call, success_status
from k8sactors.apiserver.entries import Entry
from k8sactors.apiserver.reads import Reads
from k8sactors.apiserver.registry import Registry
from k8sactors.apiserver.subresource import OK

Object = dict[str, Any]


def delete_collection(registry: Registry, reads: Reads, call: Call) -> None:
    """Delete what the selectors mean.

    Raises:
        StatusError: 400 for bad selectors or options.
    """
    options = request_body.decode_delete_options(call)
    reads.gather(
        call, lambda entries: registry.run(call, _delete_each, registry, call, entries, options)
    )


def _delete_each(registry: Registry, call: Call, entries: list[Entry], options: Object) -> None:
    if not entries:
        call.succeed(OK, 0, success_status(OK))
        return
    _Collection(registry, call, len(entries)).delete(entries, options)


class _Collection:
    """Counts the deletions of one call."""

    def __init__(self, registry: Registry, call: Call, count: int) -> None:
        self.registry = registry
        self.call = call
        self.left = count
        self.revision = 0
        self.error: StatusError | None = None

    def delete(self, entries: list[Entry], options: Object) -> None:
        for entry in entries:
            part = self._part(entry, options)
            self.registry.run(part, self._delete_one, part, options)

    def _delete_one(self, part: Call, options: Object) -> None:
        self.registry.delete_object(
            part, part.name, options, self._deleted, missing=lambda: self._count(part)
        )

    def _part(self, entry: Entry, options: Object) -> Call:
        call = self.call
        payload = request("delete", "", entry.namespace, entry.name, "", None, options)
        return Call(self, payload, call.resource, call.user, call.environment, _ignore)

    def reply(self, kind: str, payload: Any) -> None:
        """A part has failed: the first failure is the answer."""
        assert kind != REQUEST
        if self.error is None:
            self.error = StatusError.from_status(codec.decode_value(payload[2]))
        self._done_one()

    def _deleted(self, part: Call, _decision: Deletion, revision: int, _options: Object) -> None:
        self.revision = max(self.revision, revision)
        self._count(part)

    def _count(self, part: Call) -> None:
        part.done = True
        self._done_one()

    def _done_one(self) -> None:
        self.left -= 1
        if self.left:
            return
        if self.error is not None:
            self.call.fail(self.error)
        else:
            self.call.succeed(OK, self.revision, success_status(OK))


def _ignore(_call: Call, _code: int, _revision: int) -> None:
    return
