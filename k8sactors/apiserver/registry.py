"""The generic registry: create, update, patch and delete for every kind and subresource.

Pipeline of a write, as in the real server: decode, default, mutate (admission), prepare (strategy),
validate, validate (admission), one guarded transaction, encode. Nothing waits: a step that needs
the store leaves a callback and returns, and a step that cannot continue raises `SuspendedError`; it
resumes at its own start when what it needs is there. What a kind does beyond these rules is in
its strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from k8sactors.api import codec, errors, meta, validation
from k8sactors.api.effects import Deletion, Effects, Guard, KeyState, Outcome, Write
from k8sactors.api.errors import (
    AnswerNeededError,
    LeaseNeededError,
    LookupNeededError,
    StatusError,
    SuspendedError,
)
from k8sactors.api.managed_fields import Entries
from k8sactors.apiserver import applying, deletion, field_tracking, object_rules, request_body
from k8sactors.apiserver.admission_chain import Admission, Attributes, Cluster
from k8sactors.apiserver.applying import AppliedConfiguration
from k8sactors.apiserver.call import Call, success_status
from k8sactors.apiserver.creation_cache import CreationCache
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.patching import Patch
from k8sactors.apiserver.store import Committed, Store
from k8sactors.apiserver.subresource import CREATED, OK, PostedSubresource, Subresource
from k8sactors.apiserver.transaction import Change, Stored, Update
from k8sactors.simulation import MILLISECOND

Object = dict[str, Any]

GENERATED_NAME_TRIES = 8
POLL_NS = 100 * MILLISECOND
ACCEPTED = 202
WHOLE = Subresource()


class Registry:
    """Writes objects of all kinds. `unexpected` is told of what a step raised by mistake."""

    def __init__(
        self,
        store: Store,
        environment: Environment,
        admission: Admission,
        cluster: Cluster,
        unexpected: Callable[[Call, Exception], None],
    ) -> None:
        self.store = store
        self.environment = environment
        self.admission = admission
        self.cluster = cluster
        self.created = CreationCache()
        self._unexpected = unexpected

    # steps

    def run(self, call: Call, step: Callable[..., None], *args: Any) -> None:
        """Run a step of a call; what it raises is answered."""
        try:
            step(*args)
        except StatusError as error:
            call.fail(error)
        except SuspendedError as needed:
            resume = needed.resume or partial(step, *args)
            self.suspend(call, needed, resume)
        except Exception as error:  # noqa: BLE001 - one request must not take the server down
            self._unexpected(call, error)

    def suspend(self, call: Call, needed: SuspendedError, resume: Callable[[], None]) -> None:
        """Fetch what a step needs, then run `resume`."""
        again = partial(self.run, call, resume)
        match needed:
            case LookupNeededError():
                self._look_up(call, needed, again)
            case LeaseNeededError():
                self.environment.leases.acquire(needed.ttl_seconds, again, call.fail_store)
            case AnswerNeededError():
                needed.begin(again)
            case _:
                raise needed

    def _look_up(self, call: Call, needed: LookupNeededError, again: Callable[[], None]) -> None:
        environment = self.environment
        deadline_ns = environment.now_ns() + needed.wait_ns

        def found(state: KeyState | None, _revision: int) -> None:
            if state is None and environment.now_ns() < deadline_ns:
                environment.after(POLL_NS, read)
                return
            known = call.known or {}
            known[needed.key] = state
            call.known = known
            again()

        def read() -> None:
            self.store.read(needed.key, found, call.fail_store)

        read()

    # create

    def create(self, call: Call) -> None:
        """Store a new object."""
        obj = request_body.decode_object(call, call.resource.info.kind)
        self.create_object(call, obj, CREATED)

    def create_object(
        self, call: Call, obj: Object, code: int, entries: Entries | None = None
    ) -> None:
        """Store a new object that is decoded already; `entries` say who has applied it."""
        resource = call.resource
        info = resource.info
        request_body.set_kind(obj, info.api_version, info.kind, info.schema)
        metadata = request_body.metadata_of(obj)
        object_rules.set_namespace(metadata, call)
        generated = not metadata.get("name") and bool(metadata.get("generateName"))
        environment = self.environment
        object_rules.stamp_new(metadata, environment.random, environment.now())
        call.name = metadata.get("name") or ""
        tries = GENERATED_NAME_TRIES if generated else 1
        manager: str = call.options.get("fieldManager") or ""
        signature = None if entries is not None else resource.strategy.signature(obj)
        if signature is not None:
            if manager:
                signature = field_tracking.signature_of_tracked(metadata, signature)
            version = self.admission.state_version()
            created = self.created.find(resource.name, call.namespace, signature, version)
            if created is not None:
                # Equal to an object before it: only what depends on where and when is looked at.
                obj.update(created.fields)
                metadata.update(created.metadata)
                if manager and created.owned:
                    metadata["managedFields"] = field_tracking.entries_of_equal(
                        call, created.owned, manager
                    )
                attributes = self.admission.attributes(call, "CREATE", obj, again=True)
                self._admit_equal(call, attributes, code, tries)
                return
        obj = request_body.complete(call, obj)
        if manager and entries is None:
            entries = field_tracking.entries_of_new(call, obj, manager)
        if entries:
            obj["metadata"]["managedFields"] = entries
        attributes = self.admission.attributes(call, "CREATE", obj)
        self._admit_new(call, attributes, code, tries, signature)

    def _admit_equal(self, call: Call, attributes: Attributes, code: int, tries: int) -> None:
        try:
            attributes.mutate()
            attributes.validate()
        except SuspendedError as needed:
            needed.resume = partial(self._admit_equal, call, attributes, code, tries)
            raise
        assert attributes.obj is not None
        self._write_new(call, attributes.obj, code, tries)

    def _admit_new(
        self, call: Call, attributes: Attributes, code: int, tries: int, signature: bytes | None
    ) -> None:
        try:
            attributes.mutate()
        except SuspendedError as needed:
            needed.resume = partial(self._admit_new, call, attributes, code, tries, signature)
            raise
        obj, resource = attributes.obj, call.resource
        assert obj is not None
        resource.strategy.prepare_for_create(obj, obj["metadata"]["creationTimestamp"])
        causes = validation.validate_create(resource.info, obj)
        if causes:
            raise errors.invalid(resource.info, obj["metadata"].get("name") or "", causes)
        self._validate_new(call, attributes, code, tries, signature)

    def _validate_new(
        self, call: Call, attributes: Attributes, code: int, tries: int, signature: bytes | None
    ) -> None:
        try:
            attributes.validate()
        except SuspendedError as needed:
            needed.resume = partial(self._validate_new, call, attributes, code, tries, signature)
            raise
        assert attributes.obj is not None
        if signature is not None and attributes.repeatable:
            version = self.admission.state_version()
            self.created.remember(
                call.resource.name, call.namespace, signature, attributes.obj, version
            )
        self._write_new(call, attributes.obj, code, tries)

    def _write_new(self, call: Call, obj: Object, code: int, tries: int) -> None:
        resource = call.resource
        try:
            effects = resource.strategy.begin_create(call, obj)
        except SuspendedError as needed:
            needed.resume = partial(self._write_new, call, obj, code, tries)
            raise
        key = resource.key(call.namespace, call.name)
        data = codec.encode(effects.obj)
        if call.dry_run:
            self._pretend_new(call, key, code, data)
            return
        guards = (Guard(key, 0), *effects.guards)
        reads = (key, *[guard.key for guard in effects.guards]) if effects.guards else (key,)

        def done(committed: Committed) -> None:
            if committed.succeeded:
                resource.cache.remember(key, committed.revision, effects.obj)
                call.succeed(code, committed.revision, data)
                return
            # All that was read counts: a full range of addresses is known by its last one.
            call.known = {**(call.known or {}), **dict(zip(reads, committed.found, strict=True))}
            if committed.found[0] is None:
                self.run(call, self._write_new, call, obj, code, tries)
            elif tries > 1:
                metadata = obj["metadata"]
                metadata["name"] = meta.generate_name(
                    metadata["generateName"], self.environment.random
                )
                call.name = metadata["name"]
                self.run(call, self._write_new, call, obj, code, tries - 1)
            elif call.verb == "patch":
                # Another client was faster: the configuration is applied to what is there now.
                self.run(call, self.patch, call)
            else:
                call.fail(errors.already_exists(resource.info, call.name))

        writes = (Write(key, data, effects.lease), *effects.writes)
        commit = call.commit or self.store.commit
        commit(guards, writes, reads, done, call.fail_store)

    def _pretend_new(self, call: Call, key: bytes, code: int, data: bytes) -> None:
        """Answer a dry run as the write would have been answered."""

        def found(state: KeyState | None, _revision: int) -> None:
            if state is None:
                call.succeed(code, 0, data)
            else:
                call.fail(errors.already_exists(call.resource.info, call.name))

        self.store.read(key, found, call.fail_store)

    # update and patch

    def update(self, call: Call, part: Subresource = WHOLE) -> None:
        """Replace an object, or a part of it."""
        resource = call.resource
        body = request_body.decode_object(call, resource.info.kind)
        request_body.mark_reset(body)
        given = part.decode(call, body)

        def change(stored: Stored) -> Change:
            new = {**given, "metadata": dict(given["metadata"])}
            return self._change(call, part, stored, new)

        missing: Callable[[], None] | None = None
        if resource.strategy.create_on_update and part is WHOLE:
            missing = partial(self._create_by_update, call)
        Update(self, call, resource.key(call.namespace, call.name), change, missing).start()

    def _create_by_update(self, call: Call) -> None:
        obj = WHOLE.identify(call, request_body.decode_object(call, call.resource.info.kind))
        if obj["metadata"].pop("resourceVersion", None) not in object_rules.UNSET_VERSIONS:
            raise errors.not_found(call.resource.info, call.name)
        self.environment.authorizer.check_create(call)
        self.create_object(call, obj, CREATED)

    def patch(self, call: Call, part: Subresource = WHOLE) -> None:
        """Change some fields of an object, or of a part of it."""
        if field_tracking.is_apply(call):
            self._apply(call, part)
            return
        patch = Patch(call)
        resource = call.resource

        def change(stored: Stored) -> Change:
            shown = part.show(resource.info, stored.obj, stored.mod_revision)
            patched = patch.apply(shown)
            request_body.mark_reset(patched)
            given = patch.decode(call, part.decode, patched)
            return self._change(call, part, stored, given)

        Update(self, call, resource.key(call.namespace, call.name), change).start()

    def _apply(self, call: Call, part: Subresource) -> None:
        """Apply a configuration to an object, or to a part of it; create what is not there."""
        configuration = AppliedConfiguration(call, part)
        resource = call.resource

        def change(stored: Stored) -> Change:
            live = part.tracked(resource.info, stored.obj, stored.mod_revision)
            given = part.decode(call, configuration.apply(live))
            return self._change(call, part, stored, given)

        missing: Callable[[], None] | None = None
        if part is WHOLE:
            missing = partial(self._create_by_apply, call, configuration)
        Update(self, call, resource.key(call.namespace, call.name), change, missing).start()

    def _create_by_apply(self, call: Call, configuration: AppliedConfiguration) -> None:
        obj = WHOLE.identify(call, configuration.apply(None))
        applying.check_new(call, obj)
        self.environment.authorizer.check_create(call)
        self.create_object(call, obj, CREATED, obj["metadata"].pop("managedFields", []))

    def _change(self, call: Call, part: Subresource, stored: Stored, given: Object) -> Change:
        """The outcome of an update; the upper two levels of `given` are ours."""
        resource = call.resource
        object_rules.check_resource_version(
            given["metadata"], stored.mod_revision, resource, call.name
        )
        object_rules.carry_system_fields(given, stored.obj, resource)
        object_rules.check_finalizers(given, stored.obj, resource)
        attributes = self.admission.attributes(call, "UPDATE", given, stored.obj)
        return self._admit_change(call, part, stored, attributes)

    def _admit_change(
        self, call: Call, part: Subresource, stored: Stored, attributes: Attributes
    ) -> Change:
        try:
            attributes.mutate()
            given = attributes.obj
            assert given is not None
            new = part.merge(call, stored, given)
            if "managedFields" in stored.obj["metadata"] or "managedFields" in given["metadata"]:
                new = self._with_entries(call, part, stored, given, new)
            attributes.obj = new
            part.validate(call, stored.obj, new)
        except SuspendedError as needed:
            needed.resume = partial(self._admit_change, call, part, stored, attributes)
            raise
        return self._validate_change(call, part, stored, attributes)

    def _with_entries(
        self, call: Call, part: Subresource, stored: Stored, given: Object, new: Object
    ) -> Object:
        """The merged object with its managedFields."""
        old = stored.obj
        if field_tracking.is_apply(call):
            entries = part.entries_of_applied(call, old, given)
        else:
            entries = field_tracking.entries_of_changed(call, old, new)
        return field_tracking.with_entries(old, new, entries)

    def _validate_change(
        self, call: Call, part: Subresource, stored: Stored, attributes: Attributes
    ) -> Change:
        try:
            attributes.validate()
        except SuspendedError as needed:
            needed.resume = partial(self._validate_change, call, part, stored, attributes)
            raise
        assert attributes.obj is not None
        return self._begin_change(call, part, stored, attributes.obj)

    def _begin_change(self, call: Call, part: Subresource, stored: Stored, new: Object) -> Change:
        strategy, old = call.resource.strategy, stored.obj
        released = strategy.released(old, new)
        try:
            if released:
                effects = strategy.after_delete(call, old)
            elif part is WHOLE:
                effects = strategy.begin_update(call, old, new)
            else:
                effects = Effects(new)
        except SuspendedError as needed:
            needed.resume = partial(self._begin_change, call, part, stored, new)
            raise
        if released:

            def removed(revision: int, _data: bytes) -> None:
                call.succeed(OK, revision, part.encode(call, new, revision, b""))

            return Change(None, removed, effects.guards, effects.writes)

        def answer(revision: int, data: bytes) -> None:
            call.succeed(OK, revision, part.encode(call, effects.obj, revision, data))

        return Change(effects.obj, answer, effects.guards, effects.writes, effects.lease)

    # subresources

    def show(self, call: Call, part: Subresource) -> None:
        """Answer with a part of an object."""

        def found(state: KeyState | None, _revision: int) -> None:
            self.run(call, self._answer_show, call, part, state)

        key = call.resource.key(call.namespace, call.name)
        self.store.read(key, found, call.fail_store)

    def _answer_show(self, call: Call, part: Subresource, state: KeyState | None) -> None:
        info = call.resource.info
        if state is None:
            raise errors.not_found(info, call.name)
        shown = part.show(info, codec.decode(state.value, 0), state.mod_revision)
        call.succeed(OK, state.mod_revision, codec.encode(shown))

    def post(self, call: Call, part: PostedSubresource) -> None:
        """Carry out what was posted to a subresource."""
        given = part.decode(call, request_body.decode_object(call, part.kind))
        attributes = self.admission.attributes(call, "CREATE", given)
        self._admit_posted(call, part, attributes)

    def _admit_posted(self, call: Call, part: PostedSubresource, attributes: Attributes) -> None:
        try:
            attributes.mutate()
            attributes.validate()
            assert attributes.obj is not None
            part.carry_out(self, call, attributes.obj)
        except SuspendedError as needed:
            if needed.resume is None:
                needed.resume = partial(self._admit_posted, call, part, attributes)
            raise

    # delete

    def delete(self, call: Call) -> None:
        """Remove an object, or mark it so that others can let go of it."""
        options = request_body.decode_delete_options(call)
        if options.get("dryRun"):
            call.options = {**call.options, "dryRun": options["dryRun"]}
        self.delete_object(call, call.name, options, _answer_delete)

    def delete_object(
        self,
        call: Call,
        name: str,
        options: Object,
        answer: Callable[[Call, Deletion, int, Object], None],
        missing: Callable[[], None] | None = None,
        amended: Callable[[Object], Object] | None = None,
    ) -> None:
        """Delete by key; `answer` tells the client. `amended` may change what is kept for now."""
        resource = call.resource

        def change(stored: Stored) -> Change:
            deletion.check_preconditions(resource, stored.obj, stored.mod_revision, options)
            obj = stored.obj if amended is None else amended(stored.obj)
            attributes = self.admission.attributes(call, "DELETE", None, stored.obj)
            return self._admit_deletion(call, obj, attributes, options, answer)

        Update(self, call, resource.key(call.namespace, name), change, missing).start()

    def _admit_deletion(
        self,
        call: Call,
        obj: Object,
        attributes: Attributes,
        options: Object,
        answer: Callable[[Call, Deletion, int, Object], None],
    ) -> Change:
        resource = call.resource
        try:
            attributes.mutate()
            attributes.validate()
            wall_ns = self.environment.wall_ns()
            decision = deletion.decide(resource, obj, options, wall_ns)
            effects: Effects | None = None
            if decision.outcome is Outcome.REMOVE:
                effects = resource.strategy.after_delete(call, obj)
        except SuspendedError as needed:
            needed.resume = partial(self._admit_deletion, call, obj, attributes, options, answer)
            raise

        def told(revision: int, _data: bytes) -> None:
            answer(call, decision, revision, options)

        if effects is None:
            return Change(decision.obj, told)
        return Change(None, told, effects.guards, effects.writes)


def _answer_delete(call: Call, decision: Deletion, revision: int, options: Object) -> None:
    removed = decision.outcome is Outcome.REMOVE
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
