"""The generic registry: create, update, patch and delete for every kind.

Pipeline of a write, as in the real server: decode, default, mutate (admission), prepare (strategy),
validate, one guarded transaction, encode. Nothing waits: each step that needs the store leaves a
callback and returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.api import codec, errors, meta
from k8sactors.api import patch as patches
from k8sactors.api.errors import PatchError, StatusError
from k8sactors.apiserver import deletion, object_rules
from k8sactors.apiserver.admission import Admission
from k8sactors.apiserver.call import Call, success_status
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.errors import LookupNeededError
from k8sactors.apiserver.event_leases import EventLeases
from k8sactors.apiserver.feed import Clock
from k8sactors.apiserver.forms import Forms
from k8sactors.apiserver.services import ServiceAddresses
from k8sactors.apiserver.store import Committed, Guard, KeyState, Store, Write
from k8sactors.apiserver.transaction import Change, Stored, Update
from k8sactors.simulation import MILLISECOND

Object = dict[str, Any]

GENERATED_NAME_TRIES = 8
POLL_NS = 100 * MILLISECOND
CREATED = 201
OK = 200
ACCEPTED = 202


class Environment(Clock):
    """The part of an actor's context that the registry needs."""

    random: Any

    def wall_ns(self) -> int:
        """Unix-epoch nanoseconds."""
        raise NotImplementedError


class Registry:
    """Writes objects of all kinds."""

    def __init__(
        self,
        store: Store,
        environment: Any,
        config: APIServerConfig,
        admission: Admission,
        addresses: ServiceAddresses,
    ) -> None:
        self.store = store
        self.config = config
        self.admission = admission
        self.forms = Forms()
        self.addresses = addresses
        self.leases = EventLeases(store, environment, config.event_ttl_seconds)
        self._environment = environment
        self._random = environment.random

    def now(self) -> str:
        """The time as metadata carries it."""
        return meta.format_time(self._environment.wall_ns())

    def look_up(self, call: Call, needed: LookupNeededError, resume: Callable[[], None]) -> None:
        """Read a key that a handler needs, then run the handler again."""
        deadline_ns = self._environment.now_ns() + needed.wait_ns

        def found(state: KeyState | None, _revision: int) -> None:
            if state is None and self._environment.now_ns() < deadline_ns:
                self._environment.after(POLL_NS, read)
                return
            known = call.known or {}
            known[needed.key] = state
            call.known = known
            resume()

        def read() -> None:
            self.store.read(needed.key, found, call.fail_store)

        read()

    # create

    def create(self, call: Call) -> None:
        """Store a new object."""
        obj = object_rules.decode_body(call, self.config.max_body_bytes)
        self.create_object(call, obj, CREATED)

    def create_object(self, call: Call, obj: Object, code: int) -> None:
        """Store a new object that is decoded already."""
        resource = call.resource
        object_rules.check_kind(obj, resource)
        metadata = object_rules.metadata_of(obj)
        object_rules.set_namespace(metadata, call)
        generated = not metadata.get("name") and bool(metadata.get("generateName"))
        now = self.now()
        object_rules.stamp_new(metadata, self._random, now)
        call.name = metadata.get("name") or ""
        tries = GENERATED_NAME_TRIES if generated else 1
        if resource.name == "pods":
            version = self.admission.state_version()
            shape, finished = self.forms.recall(obj, version)
            if finished is not None:
                obj["spec"], obj["status"] = finished.spec, finished.status
                metadata["generation"] = 1
                self._admit_equal(call, obj, code, tries)
                return
            self._admit_new(call, self.forms.complete(obj), code, tries, shape)
            return
        self._admit_new(call, self.forms.complete(obj), code, tries)

    def _admit_equal(self, call: Call, obj: Object, code: int, tries: int) -> None:
        """A pod like one before it: only what depends on where and when is looked at again."""
        try:
            self.admission.admit(call, "create", obj, again=True)
        except LookupNeededError as needed:
            self.look_up(
                call, needed, lambda: self.guarded(call, self._admit_equal, call, obj, code, tries)
            )
            return
        self._write_new(call, obj, code, tries, 0)

    def _admit_new(
        self, call: Call, obj: Object, code: int, tries: int, shape: bytes | None = None
    ) -> None:
        try:
            self.admission.admit(call, "create", obj)
        except LookupNeededError as needed:
            self.look_up(
                call,
                needed,
                lambda: self.guarded(call, self._admit_new, call, obj, code, tries, shape),
            )
            return
        resource = call.resource
        resource.strategy.prepare_for_create(obj, obj["metadata"]["creationTimestamp"])
        self.forms.check_new(resource.info, obj)
        if shape is not None:
            self.forms.remember(shape, obj, self.admission.state_version())
        if resource.info.kind == "Event":
            self.leases.acquire(
                lambda lease: self._write_new(call, obj, code, tries, lease), call.fail_store
            )
        else:
            self._write_new(call, obj, code, tries, 0)

    def _write_new(self, call: Call, obj: Object, code: int, tries: int, lease: int) -> None:
        resource = call.resource
        guards: list[Guard] = []
        writes: list[Write] = []
        written = obj
        if resource.name == "services":
            written, guards, writes = self.addresses.for_create(call, obj)
        key = resource.key(call.namespace, call.name)
        data = codec.encode(written)
        if call.dry_run:
            self._pretend_new(call, key, code, data)
            return

        def done(committed: Committed) -> None:
            if committed.succeeded:
                resource.cache.remember(key, committed.revision, written)
                call.succeed(code, committed.revision, data)
                return
            if committed.found[0] is None and guards:
                call.known = dict(zip(reads, committed.found, strict=True))
                self.guarded(call, self._write_new, call, obj, code, tries, lease)
            elif tries > 1:
                metadata = obj["metadata"]
                metadata["name"] = meta.generate_name(metadata["generateName"], self._random)
                call.name = metadata["name"]
                self._write_new(call, obj, code, tries - 1, lease)
            else:
                call.fail(errors.already_exists(resource.info, call.name))

        reads = (key, *(guard.key for guard in guards))
        self.store.commit(
            (Guard(key, 0), *guards),
            (Write(key, data, lease), *writes),
            reads,
            done,
            call.fail_store,
        )

    def _pretend_new(self, call: Call, key: bytes, code: int, data: bytes) -> None:
        """Answer a dry run as the write would have been answered."""

        def found(state: KeyState | None, _revision: int) -> None:
            if state is None:
                call.succeed(code, 0, data)
            else:
                call.fail(errors.already_exists(call.resource.info, call.name))

        self.store.read(key, found, call.fail_store)

    def guarded(self, call: Call, function: Callable[..., None], *args: Any) -> None:
        """Run a step of a call; a StatusError is its answer."""
        try:
            function(*args)
        except StatusError as error:
            call.fail(error)

    # update and patch

    def update(self, call: Call) -> None:
        """Replace an object, or its status."""
        obj = object_rules.decode_body(call, self.config.max_body_bytes)
        resource = call.resource
        object_rules.check_kind(obj, resource)
        metadata = object_rules.metadata_of(obj)
        object_rules.set_namespace(metadata, call)
        object_rules.check_name(metadata, call)
        if call.subresource == "status":
            self.forms.check_form(_status_only(obj))
        else:
            obj = self.forms.complete(obj)

        def change(stored: Stored) -> Change:
            new = {**obj, "metadata": dict(obj["metadata"])}
            return self._changed(call, stored, new)

        missing: Callable[[], None] | None = None
        if resource.strategy.create_on_update and not call.subresource:
            missing = lambda: self.guarded(call, self._create_by_update, call, obj)  # noqa: E731 - a closure
        Update(self, call, resource.key(call.namespace, call.name), change, missing).start()

    def _create_by_update(self, call: Call, obj: Object) -> None:
        metadata = obj["metadata"]
        if metadata.get("resourceVersion") not in object_rules.UNSET_VERSIONS:
            raise errors.not_found(call.resource.info, call.name)
        self.create_object(call, {**obj, "metadata": dict(metadata)}, CREATED)

    def patch(self, call: Call) -> None:
        """Change a part of an object, or of its status."""
        apply = patch_function(call)
        resource = call.resource

        def change(stored: Stored) -> Change:
            base = meta.with_metadata(stored.obj, resourceVersion=str(stored.mod_revision))
            new = apply(base)
            object_rules.check_kind(new, resource)
            metadata = dict(object_rules.metadata_of(new))
            new = {**new, "metadata": metadata}
            if resource.info.namespaced:
                object_rules.set_namespace(metadata, call)
            object_rules.check_name(metadata, call)
            if call.subresource == "status":
                self.forms.check_form(_status_only(new))
            else:
                self.forms.check_form(new)
                new = self.forms.complete(new)
            return self._changed(call, stored, new)

        Update(self, call, resource.key(call.namespace, call.name), change).start()

    def _changed(self, call: Call, stored: Stored, new: Object) -> Change:
        """The outcome of an update whose new object is `new`: its upper two levels are ours."""
        resource, old = call.resource, stored.obj
        object_rules.check_resource_version(
            new["metadata"], stored.mod_revision, resource, call.name
        )
        object_rules.carry_system_fields(new, old, resource)
        object_rules.check_finalizers(new, old, resource)
        if call.subresource == "status":
            resource.strategy.prepare_for_status_update(new, old)
        else:
            resource.strategy.prepare_for_update(new, old)
            self.admission.admit(call, "update", new)
            self.forms.check_changed(resource.info, old, new)

        def answer(revision: int, data: bytes) -> None:
            call.succeed(OK, revision, data)

        if deletion.released(old, new):
            freed = self.addresses.for_delete(old) if resource.name == "services" else []

            def removed(revision: int, _data: bytes) -> None:
                call.succeed(OK, revision, codec.encode(new))

            return Change(None, removed, (), freed)
        if resource.name == "services" and not call.subresource:
            written, guards, writes = self.addresses.for_update(call, old, new)
            return Change(written, answer, guards, writes)
        return Change(new, answer)

    # delete

    def delete(self, call: Call) -> None:
        """Remove an object, or mark it so that others can let go of it."""
        options = dict(call.options)
        if call.body:
            body = codec.decode_value(call.body)
            if not isinstance(body, dict) or body.get("kind", "DeleteOptions") != "DeleteOptions":
                raise errors.bad_request("the body of a delete must be DeleteOptions")
            options.update(body)
        if options.get("dryRun"):
            call.options = {**call.options, "dryRun": options["dryRun"]}
        self.admission.admit(call, "delete", None)
        self.delete_object(call, call.name, options, _answer_delete)

    def delete_object(
        self,
        call: Call,
        name: str,
        options: dict[str, Any],
        answer: Callable[[Call, deletion.Deletion, int, dict[str, Any]], None],
        missing: Callable[[], None] | None = None,
    ) -> None:
        """Delete by key; `answer` tells the client."""
        resource = call.resource

        def change(stored: Stored) -> Change:
            deletion.check_preconditions(resource, stored.obj, stored.mod_revision, options)
            decision = deletion.decide(resource, stored.obj, options, self._environment.wall_ns())

            def told(revision: int, _data: bytes) -> None:
                answer(call, decision, revision, options)

            if decision.outcome is not deletion.Outcome.REMOVE:
                return Change(decision.obj, told)
            freed = self.addresses.for_delete(stored.obj) if resource.name == "services" else []
            return Change(None, told, (), freed)

        Update(self, call, resource.key(call.namespace, name), change, missing).start()


def _answer_delete(
    call: Call, decision: deletion.Deletion, revision: int, options: dict[str, Any]
) -> None:
    removed = decision.outcome is deletion.Outcome.REMOVE
    info = call.resource.info
    code = OK
    if not removed and options.get("orphanDependents") is False:
        code = ACCEPTED
    if not removed or call.resource.strategy.returns_deleted:
        call.succeed(code, revision, codec.encode(decision.obj))
        return
    details = {"name": call.name, "kind": info.plural, "uid": decision.obj["metadata"]["uid"]}
    if info.group:
        details["group"] = info.group
    call.succeed(code, revision, success_status(code, details))


def patch_function(call: Call) -> Callable[[Object], Object]:
    """What applies the patch in a call's body.

    Raises:
        StatusError: 400 or 415, it is no patch.
    """
    if call.body is None:
        raise errors.bad_request("the request has no body")
    document: Any = codec.decode_value(call.body)
    kind = call.options.get("patchType") or "merge"
    if kind not in {"merge", "json", "strategic"}:
        raise errors.unsupported_media_type(
            f"the body of the request was in an unknown format: patch type {kind}"
        )
    fits = isinstance(document, list if kind == "json" else dict)
    if not fits:
        raise errors.bad_request(f"the body is not a {kind} patch")

    def apply(obj: Object) -> Object:
        try:
            if kind == "json":
                patched: Object = patches.json_patch(obj, document)
            elif kind == "strategic":
                patched = patches.strategic_merge(obj, document)
            else:
                patched = patches.merge_patch(obj, document)
        except PatchError as error:
            if kind == "json":
                raise StatusError(422, "Invalid", str(error)) from error
            raise errors.bad_request(str(error)) from error
        return patched

    return apply


def _status_only(obj: Object) -> Object:
    """The part of an object that a status update stores, for the check of its form."""
    part = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": obj["metadata"]}
    if "status" in obj:
        part["status"] = obj["status"]
    return part
