"""An API server in memory: no store, no admission; speaks the real one's message protocol."""

from typing import Any

from k8sactors.actors import Actor, Connection, Message
from k8sactors.api import codec, errors, selectors
from k8sactors.api.meta import format_time

Object = dict[str, Any]
CLUSTER_SCOPED = {"nodes", "namespaces", "persistentvolumes"}


class FakeStore:
    """What survives a restart of the server; shared by several servers of one test."""

    def __init__(self) -> None:
        self.revision = 1
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.history: list[tuple[int, str, str, Object]] = []
        self.compacted = 0
        self.servers: list[FakeAPI] = []
        self.uids = 0
        self.writes: list[tuple[str, str, str, str]] = []
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.watches: list[tuple[str, dict[str, Any]]] = []
        self.fail_next: list[errors.StatusError] = []
        self.refuse: Any = None

    # --- what tests call

    def get(self, resource: str, name: str, namespace: str = "") -> Object | None:
        return self.objects.get((resource, namespace, name))

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        return [
            obj
            for (kind, space, _), obj in self.objects.items()
            if kind == resource and namespace in {None, space}
        ]

    def put(self, resource: str, obj: Object, wall_ns: int = 0) -> Object:
        """Create or replace without any checks; counts the generation when the spec changes."""
        metadata = obj["metadata"]
        key = (resource, metadata.get("namespace") or "", metadata["name"])
        old = self.objects.get(key)
        if old is None:
            self.uids += 1
            metadata = {
                "uid": f"uid-{self.uids}",
                "creationTimestamp": format_time(wall_ns),
                "generation": 1,
                **metadata,
            }
        else:
            generation = old["metadata"].get("generation", 1)
            changed = old.get("spec") != obj.get("spec")
            kept = {name: old["metadata"][name] for name in ("uid", "creationTimestamp")}
            metadata = {**kept, **metadata, "generation": generation + (1 if changed else 0)}
        return self._write("MODIFIED" if old else "ADDED", key, {**obj, "metadata": metadata})

    def edit(self, resource: str, name: str, namespace: str = "", **changes: Any) -> Object:
        """Merge `changes` into the top level of an object."""
        old = self.objects[resource, namespace, name]
        return self.put(resource, _merge(old, changes))

    def remove(self, resource: str, name: str, namespace: str = "") -> None:
        key = (resource, namespace, name)
        self._write("DELETED", key, self.objects[key])

    def compact(self) -> None:
        """Forget the history: watches from the past get 410."""
        self.compacted = self.revision
        self.history.clear()

    def _write(self, kind: str, key: tuple[str, str, str], obj: Object) -> Object:
        self.revision += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.revision)}
        obj = {**obj, "metadata": metadata}
        old = self.objects.get(key)
        if kind == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj
        self.history.append((self.revision, kind, key[0], obj))
        for server in self.servers:
            server.publish(self.revision, kind, key[0], obj, old)
        return obj


def _merge(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


class FakeAPI(Actor):
    """Serves a FakeStore."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.streams: dict[tuple[int, int], tuple[Connection, str, str | None, dict[str, Any]]] = {}

    def on_start(self) -> None:
        self.store.servers = [
            server for server in self.store.servers if server.ctx.address != self.ctx.address
        ]
        self.store.servers.append(self)

    def on_disconnect(self, connection: Connection, reason: str) -> None:  # noqa: ARG002 - hook
        self.streams = {key: v for key, v in self.streams.items() if v[0] is not connection}

    def on_message(self, message: Message) -> None:
        if message.kind == "api.watch":
            self._watch(message)
        elif message.kind == "api.watch_cancel":
            self.streams.pop((message.connection.id, message.payload[0]), None)
        else:
            try:
                reply = self._handle(*message.payload)
            except errors.StatusError as error:
                body = codec.encode_value(error.status())
                reply = [error.code, self.store.revision, body]
            message.reply("api.response", reply)

    # --- requests

    def _handle(
        self,
        verb: str,
        resource: str,
        namespace: str | None,
        name: str | None,
        subresource: str | None,
        body: bytes | None,
        options: dict[str, Any],
    ) -> list[Any]:
        store = self.store
        store.requests.append((verb, resource, options))
        if store.fail_next:
            raise store.fail_next.pop(0)
        value = codec.decode_value(body) if body else None
        if store.refuse is not None:
            store.refuse(verb, resource, value)
        if verb not in {"get", "list"}:
            store.writes.append((verb, resource, name or "", subresource or ""))
        key = (resource, namespace or "", name or "")
        if verb == "list":
            items = [
                [int(obj["metadata"]["resourceVersion"]), codec.encode(obj)]
                for obj in store.list(resource, namespace or None)
                if _selected(obj, options)
            ]
            return [200, store.revision, items, None, None]
        if verb == "create":
            obj = self._create(resource, namespace, value, subresource, name)
        elif verb == "deletecollection":
            for obj in store.list(resource, namespace):
                self._delete((resource, namespace or "", obj["metadata"]["name"]), {})
            return [200, store.revision, None]
        else:
            old = store.objects.get(key)
            if old is None:
                raise errors.not_found(resource, name or "")
            if verb == "get":
                obj = old
            elif verb == "delete":
                obj = self._delete(key, options)
            else:
                obj = self._change(key, old, verb, value, subresource)
        return [200, int(obj["metadata"]["resourceVersion"]), codec.encode(obj)]

    def _create(
        self,
        resource: str,
        namespace: str | None,
        obj: Object,
        subresource: str | None,
        name: str | None,
    ) -> Object:
        if subresource == "binding":
            return self.store.edit(
                resource, name or "", namespace or "", spec={"nodeName": obj["target"]["name"]}
            )
        metadata = dict(obj["metadata"])
        if not metadata.get("name"):
            alphabet = "bcdfghjklmnpqrstvwxz2456789"
            suffix = "".join(self.ctx.random.choice(alphabet) for _ in range(5))
            metadata["name"] = metadata.pop("generateName") + suffix
        if resource not in CLUSTER_SCOPED:
            metadata["namespace"] = namespace
        if (resource, namespace or "", metadata["name"]) in self.store.objects:
            raise errors.already_exists(resource, metadata["name"])
        metadata.pop("uid", None)
        if resource == "pods":
            obj = {**obj, "status": {"phase": "Pending", **(obj.get("status") or {})}}
        return self.store.put(resource, {**obj, "metadata": metadata}, self.ctx.wall_ns())

    def _change(
        self, key: tuple[str, str, str], old: Object, verb: str, value: Any, subresource: str | None
    ) -> Object:
        new = _merge(old, value) if verb == "patch" else value
        version = new["metadata"].get("resourceVersion")
        uid = new["metadata"].get("uid")
        if (version and version != old["metadata"]["resourceVersion"]) or (
            uid and uid != old["metadata"]["uid"]
        ):
            raise errors.conflict(key[0], key[2])
        if subresource == "status":
            new = {**old, "status": new.get("status"), "metadata": _status_metadata(old, new)}
        elif subresource == "finalize":
            new = {**old, "spec": new.get("spec")}
        elif verb == "update" and "status" in old:
            new = {**new, "status": old["status"]}
        if {**new, "metadata": {**new["metadata"], "resourceVersion": ""}} == {
            **old,
            "metadata": {**old["metadata"], "resourceVersion": ""},
        }:
            return old
        metadata = new["metadata"]
        finalizers = metadata.get("finalizers") or (new.get("spec") or {}).get("finalizers")
        if metadata.get("deletionTimestamp") and not finalizers and key[0] != "pods":
            return self.store._write("DELETED", key, new)
        return self.store.put(key[0], new)

    def _delete(self, key: tuple[str, str, str], options: dict[str, Any]) -> Object:
        obj = self.store.objects[key]
        metadata = obj["metadata"]
        conditions = options.get("preconditions") or {}
        if conditions.get("uid", metadata["uid"]) != metadata["uid"]:
            raise errors.conflict(key[0], key[2], "the UID in the precondition differs")
        finalizers = list(metadata.get("finalizers") or [])
        policy = options.get("propagationPolicy")
        if policy == "Foreground":
            finalizers.append("foregroundDeletion")
        elif policy == "Orphan":
            finalizers.append("orphan")
        grace = options.get("gracePeriodSeconds")
        bound_pod = key[0] == "pods" and (obj.get("spec") or {}).get("nodeName") and grace != 0
        if key[0] == "namespaces":
            finalizers = finalizers or (obj.get("spec") or {}).get("finalizers") or []
        if not finalizers and not bound_pod:
            return self.store._write("DELETED", key, obj)
        if metadata.get("deletionTimestamp"):
            return obj
        changed = {**metadata, "deletionTimestamp": format_time(self.ctx.wall_ns())}
        if finalizers and key[0] != "namespaces":
            changed["finalizers"] = finalizers
        obj = {**obj, "metadata": changed}
        if key[0] == "namespaces":
            obj["status"] = {"phase": "Terminating"}
        return self.store.put(key[0], obj)

    # --- watches

    def _watch(self, message: Message) -> None:
        resource, namespace, options = message.payload
        self.store.watches.append((resource, options))
        since = int(options["resourceVersion"])
        if since < self.store.compacted:
            status = errors.expired(f"too old resource version: {since}").status()
            message.reply("api.events", ["ERROR", 410, codec.encode_value(status)])
            return
        self.streams[message.connection.id, message.id] = (
            message.connection,
            resource,
            namespace,
            options,
        )
        missed = [
            [kind, revision, codec.encode(obj)]
            for revision, kind, of, obj in self.store.history
            if of == resource
            and revision > since
            and namespace in {None, obj["metadata"].get("namespace")}
            and _selected(obj, options)
        ]
        if missed:
            message.reply("api.events", missed)

    def publish(
        self, revision: int, kind: str, resource: str, obj: Object, old: Object | None
    ) -> None:
        for (_, message_id), (connection, of, namespace, options) in self.streams.items():
            if of != resource or namespace not in {None, obj["metadata"].get("namespace")}:
                continue
            now, before = _selected(obj, options), old is not None and _selected(old, options)
            if kind == "MODIFIED" and now != before:
                seen = "ADDED" if now else "DELETED"
            elif now:
                seen = kind
            else:
                continue
            connection.send("api.events", [[seen, revision, codec.encode(obj)]], message_id)

    def send_to_watchers(self, payload: Any) -> None:
        """Any item at all, for tests of what clients do with it."""
        for (_, message_id), (connection, *_rest) in self.streams.items():
            connection.send("api.events", payload, message_id)


def _status_metadata(old: Object, new: Object) -> Object:
    metadata = dict(old["metadata"])
    if "annotations" in new["metadata"]:
        metadata["annotations"] = new["metadata"]["annotations"]
    return metadata


def _selected(obj: Object, options: dict[str, Any]) -> bool:
    labels = obj["metadata"].get("labels") or {}
    wanted = options.get("labelSelector")
    if wanted and not selectors.parse_label_selector(wanted).matches(labels):
        return False
    for term in (options.get("fieldSelector") or "").split(","):
        if term:
            path, _, value = term.partition("=")
            found: Any = obj
            for part in path.split("."):
                found = (found or {}).get(part)
            if (found or "") != value:
                return False
    return True
