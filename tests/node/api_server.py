"""A little API server for kubelet tests: a dict of objects, and no rules but those needed."""

from __future__ import annotations

from typing import Any

import msgpack

from k8sactors.actors import Actor, Connection, Message
from k8sactors.api import codec

Key = tuple[str, str, str]


class LittleAPIServer(Actor):
    """Speaks the API server's message protocol over a dict of objects."""

    def __init__(self, objects: dict[Key, dict[str, Any]]) -> None:
        self.objects = objects
        self.revision = 1 + len(objects)
        self.requests: list[tuple[str, str, str]] = []
        self.history: list[tuple[str, list[Any], dict[str, Any]]] = []
        self.watches: list[tuple[Connection, int, str, dict[str, str]]] = []

    def on_disconnect(self, connection: Connection, reason: str) -> None:
        del reason
        self.watches = [watch for watch in self.watches if watch[0] is not connection]

    def on_message(self, message: Message) -> None:
        if message.kind == "api.watch":
            resource, _, options = message.payload
            assert message.connection is not None
            wanted = selected(options)
            self.watches.append((message.connection, message.id, resource, wanted))
            since = int(options["resourceVersion"])
            for changed, item, obj in self.history:
                if changed == resource and item[1] > since and matches(obj, wanted):
                    message.reply("api.events", [item])
        elif message.kind == "api.request":
            message.reply("api.response", self.answer(message.payload))

    def answer(self, payload: list[Any]) -> list[Any]:
        verb, resource, namespace, name, subresource, body, options = payload
        self.requests.append((verb, resource, f"{name}/{subresource}" if subresource else name))
        content = None if body is None else msgpack.unpackb(body)
        if verb == "list":
            items = [
                [int(obj["metadata"]["resourceVersion"]), codec.encode(obj)]
                for key, obj in self.objects.items()
                if key[0] == resource and matches(obj, selected(options))
            ]
            return [200, self.revision, items, None, None]
        name = name or content["metadata"]["name"]
        key = (resource, namespace or "", name)
        known = self.objects.get(key)
        if verb == "create":
            if known is not None:
                return refusal(409, "AlreadyExists")
            metadata = {**content["metadata"], "uid": f"uid-{self.revision}-{name}"}
            return self.store(key, {**content, "metadata": metadata}, "ADDED")
        if known is None:
            return refusal(404, "NotFound")
        if verb == "get":
            return [200, int(known["metadata"]["resourceVersion"]), codec.encode(known)]
        uid = (options.get("preconditions") or {}).get("uid")
        if uid is not None and uid != known["metadata"]["uid"]:
            return refusal(409, "Conflict")
        if verb == "patch":
            uid = (content.get("metadata") or {}).get("uid")
            if uid is not None and uid != known["metadata"]["uid"]:
                return refusal(409, "Conflict")
            return self.store(key, merge_patch(known, content), "MODIFIED")
        if verb == "update":
            return self.store(key, content, "MODIFIED")
        if verb == "delete":
            return self.delete(key, options.get("gracePeriodSeconds"))
        raise AssertionError(verb)

    def delete(self, key: Key, grace_seconds: int | None) -> list[Any]:
        obj = self.objects[key]
        bound = key[0] == "pods" and obj["spec"].get("nodeName")
        if bound and grace_seconds != 0:
            metadata = {
                **obj["metadata"],
                "deletionTimestamp": "2025-01-01T00:00:00Z",
                "deletionGracePeriodSeconds": 30 if grace_seconds is None else grace_seconds,
            }
            return self.store(key, {**obj, "metadata": metadata}, "MODIFIED")
        del self.objects[key]
        self.revision += 1
        self.publish(key[0], obj, "DELETED")
        return [200, self.revision, codec.encode(obj)]

    def store(self, key: Key, obj: dict[str, Any], kind: str) -> list[Any]:
        self.revision += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.revision)}
        obj = self.objects[key] = {**obj, "metadata": metadata}
        self.publish(key[0], obj, kind)
        return [200, self.revision, codec.encode(obj)]

    def publish(self, resource: str, obj: dict[str, Any], kind: str) -> None:
        item = [kind, self.revision, codec.encode(obj)]
        self.history.append((resource, item, obj))
        for connection, cause, watched, wanted in self.watches:
            if watched == resource and matches(obj, wanted):
                connection.send("api.events", [item], cause)


def merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def selected(options: dict[str, Any]) -> dict[str, str]:
    selector = options.get("fieldSelector") or ""
    return dict(part.split("=") for part in selector.split(",") if part)


def matches(obj: dict[str, Any], wanted: dict[str, str]) -> bool:
    fields = {
        "metadata.name": obj["metadata"]["name"],
        "spec.nodeName": (obj.get("spec") or {}).get("nodeName", ""),
    }
    return all(fields[path] == value for path, value in wanted.items())


def refusal(code: int, reason: str) -> list[Any]:
    status = {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": reason,
    }
    return [code, 0, msgpack.packb(status)]
