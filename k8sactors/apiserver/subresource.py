"""A part of an object that is written by itself: what a subresource is, and what it may replace.

Every subresource is one record, a subclass with one instance, in a file of its own under
`subresources/`; a kind names those that it has. All go through the same steps as a whole object:
decode, convert, default, mutate, validate against the old object, guarded commit, encode, audit.
The methods here are those of the object itself; a subresource replaces the steps in which it
differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from k8sactors.api import codec, decoding, errors, validation
from k8sactors.api.effects import Deletion
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.managed_fields import Entries, FieldManager
from k8sactors.apiserver import object_rules, request_body
from k8sactors.apiserver.admission_chain import Cluster
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.transaction import Change, Steps, Stored, Update

Object = dict[str, Any]

OK = 200
CREATED = 201


class Writer(Steps, Protocol):
    """What a subresource may use of the registry."""

    @property
    def cluster(self) -> Cluster:
        """Cached objects, and the server's environment."""

    def delete_object(
        self,
        call: Call,
        name: str,
        options: Object,
        answer: Callable[[Call, Deletion, int, Object], None],
        missing: Callable[[], None] | None = None,
        amended: Callable[[Object], Object] | None = None,
    ) -> None:
        """Delete the object; `answer` tells the client.

        `missing` runs when it is not there; `amended` may change what is kept for now.
        """


class Subresource:
    """How one part of an object is read and written; this class: the object as a whole."""

    # The name in paths; "" for the object itself.
    name: ClassVar[str] = ""
    verbs: ClassVar[tuple[str, ...]] = ("get", "update", "patch")
    # What is read and written, as in `apiVersion` and `kind`; "": objects of the parent's kind.
    api_version: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    # A collection to which the parent's name in the body may be posted instead of to the parent.
    collection: ClassVar[str] = ""
    # The unique name of the resource whose objects such a body names.
    collection_parent: ClassVar[str] = ""

    def show(self, info: ResourceInfo, obj: Object, mod_revision: int) -> Object:
        """What a client of a version reads, with its resourceVersion."""
        metadata = {**obj["metadata"], "resourceVersion": str(mod_revision)}
        return decoding.from_storage(info, {**obj, "metadata": metadata})

    def decode(self, call: Call, body: Object) -> Object:
        """What the body of an update is stored as; its upper two levels are new.

        Raises:
            StatusError: 400, it is not of the right form, or means another object.
        """
        obj = request_body.complete(call, self.identify(call, body))
        return {**obj, "metadata": dict(obj["metadata"])}

    def identify(self, call: Call, body: Object) -> Object:
        """The body with kind, namespace and name: what it leaves out is that of the request."""
        info = call.resource.info
        request_body.set_kind(body, info.api_version, info.kind, info.schema)
        metadata = request_body.metadata_of(body)
        object_rules.set_namespace(metadata, call)
        object_rules.check_name(metadata, call)
        return body

    def merge(self, call: Call, stored: Stored, given: Object) -> Object:
        """The new object: the stored one with what the client may set here.

        Raises:
            StatusError: 409 or 422, this cannot be done to the stored object.
        """
        call.resource.strategy.prepare_for_update(given, stored.obj)
        return given

    def validate(self, call: Call, old: Object, new: Object) -> None:
        """Compare the new object with the old one.

        Raises:
            StatusError: 422.
        """
        info = call.resource.info
        causes = validation.validate_update(info, old, new, subresource=self.name)
        if causes:
            raise errors.invalid(info, old["metadata"]["name"], causes)

    def field_manager(self, call: Call) -> FieldManager:
        """What applies configurations to what `show` shows."""
        return call.resource.field_manager(self.name)

    def tracked(self, info: ResourceInfo, obj: Object, mod_revision: int) -> Object:
        """What configurations are applied to: what `show` shows, with its managedFields."""
        return self.show(info, obj, mod_revision)

    def entries_of_applied(self, call: Call, old: Object, applied: Object) -> Entries | None:
        """The managedFields of the object after an apply to what `tracked` has given."""
        del call, old
        entries: Entries | None = applied["metadata"].get("managedFields")
        return entries

    def encode(self, call: Call, new: Object, revision: int, data: bytes) -> bytes:
        """The answer to a write that has stored `new`, whose bytes are `data`."""
        del call, revision
        return data or codec.encode(new)


class PostedSubresource(Subresource):
    """A subresource to which something is posted: a decision that is carried out on its parent."""

    verbs: ClassVar[tuple[str, ...]] = ("create",)
    # Versions of the past, of the same form, that clients may still post.
    earlier_versions: ClassVar[tuple[str, ...]] = ()

    def decode(self, call: Call, body: Object) -> Object:
        """What was posted, in its own form."""
        return request_body.check_form(call, self.identify(call, body))

    def identify(self, call: Call, body: Object) -> Object:
        """The body must mean the object in the path, if it says anything.

        Raises:
            StatusError: 400.
        """
        if body.get("apiVersion") in self.earlier_versions:
            body["apiVersion"] = self.api_version
        request_body.set_kind(body, self.api_version, self.kind)
        given = request_body.metadata_of(body).get("name")
        if given and given != call.name:
            raise errors.bad_request(f"name in URL does not match name in {self.kind} object")
        return body

    def carry_out(self, writer: Writer, call: Call, given: Object) -> None:
        """Do to the parent what was posted: by default a guarded update of it."""

        def change(stored: Stored) -> Change:
            new = self.merge(call, stored, given)
            self.validate(call, stored.obj, new)

            def answer(revision: int, data: bytes) -> None:
                call.succeed(CREATED, revision, self.encode(call, new, revision, data))

            return Change(new, answer)

        Update(writer, call, call.resource.key(call.namespace, call.name), change).start()
