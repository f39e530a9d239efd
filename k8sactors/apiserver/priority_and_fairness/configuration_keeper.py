"""Keeps the bootstrap configuration in place, and tells of schemas whose level is missing.

As in the real server: a bootstrap object that is missing is created again within a minute, and one
that was changed is set back, unless it is a suggested one whose annotation
`apf.kubernetes.io/autoupdate-spec` is not `true`; without an annotation, an object counts as
untouched as long as its generation is 1. The condition `Dangling` of each FlowSchema is kept right.
Nothing is done as long as no such object changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sactors.api import codec, meta
from k8sactors.api.protocol import request
from k8sactors.api.user import API_SERVER_USER, UserInfo
from k8sactors.apiserver.cached_objects import CachedObjects
from k8sactors.apiserver.priority_and_fairness.bootstrap_configuration import (
    API_VERSION,
    AUTO_UPDATE,
    FLOW_SCHEMAS,
    MANDATORY_LEVELS,
    MANDATORY_SCHEMAS,
    PRIORITY_LEVELS,
    SUGGESTED_LEVELS,
    SUGGESTED_SCHEMAS,
)
from k8sactors.apiserver.priority_and_fairness.flow_control import Caches
from k8sactors.simulation import SECOND, Clock

Object = dict[str, Any]

INTERVAL_NS: Final = 60 * SECOND
# How soon the status of a schema follows.
STATUS_DELAY_NS: Final = SECOND
MANAGER: Final = "api-priority-and-fairness-config-consumer-v1"
_DANGLING: Final = "Dangling"
_FAILURE: Final = 400
_CONFLICTS: Final = frozenset({404, 409})
_CONFIGURATION: Final = (
    (PRIORITY_LEVELS, MANDATORY_LEVELS, SUGGESTED_LEVELS),
    (FLOW_SCHEMAS, MANDATORY_SCHEMAS, SUGGESTED_SCHEMAS),
)


def initial_configuration() -> list[tuple[str, str, Object]]:
    """Resource, namespace and object of all that is to exist from the start."""
    return [
        (resource, "", obj)
        for resource, mandatory, suggested in _CONFIGURATION
        for obj in (*mandatory, *suggested)
    ]


class ConfigurationKeeper:
    """One server's; those of several servers do the same, and are not in each other's way."""

    def __init__(
        self,
        caches: Caches,
        submit: Callable[[Any, list[Any], UserInfo], None],
        clock: Clock,
        wall_ns: Callable[[], int],
    ) -> None:
        self._submit = submit
        self._clock = clock
        self._wall_ns = wall_ns
        self._objects: dict[str, CachedObjects] = {}
        for resource in (PRIORITY_LEVELS, FLOW_SCHEMAS):
            cache = caches.add_resource(resource)
            self._objects[resource] = CachedObjects(cache)
            cache.observers.append(self._changed)
        self._started = False
        self._check_is_due = self._status_is_due = False

    def start(self) -> None:
        """Begin: the objects have been created."""
        self._started = True
        self._changed()

    def again(self) -> None:
        """Something could not be written: look again."""
        self._changed()

    def _changed(self) -> None:
        if not self._started:
            return
        if not self._check_is_due:
            self._check_is_due = True
            self._clock.after(INTERVAL_NS, self._check)
        if not self._status_is_due:
            self._status_is_due = True
            self._clock.after(STATUS_DELAY_NS, self._tell_status)

    def _check(self) -> None:
        self._check_is_due = False
        for resource, mandatory, suggested in _CONFIGURATION:
            for wanted in (*mandatory, *suggested):
                self._keep(resource, wanted, always=wanted in mandatory)

    def _keep(self, resource: str, wanted: Object, *, always: bool) -> None:
        name = wanted["metadata"]["name"]
        present = self._objects[resource].get(None, name)
        if present is None:
            self._write("create", resource, name, wanted)
        elif always or _is_kept(present):
            annotations = {**(present["metadata"].get("annotations") or {}), AUTO_UPDATE: "true"}
            metadata = {**present["metadata"], "annotations": annotations}
            changed = {**present, "metadata": metadata, "spec": wanted["spec"]}
            if changed != present:
                self._write("update", resource, name, changed)

    def _tell_status(self) -> None:
        self._status_is_due = False
        levels = {obj["metadata"]["name"] for obj in self._objects[PRIORITY_LEVELS].all()}
        for schema in self._objects[FLOW_SCHEMAS].all():
            name = schema["metadata"]["name"]
            level = schema["spec"]["priorityLevelConfiguration"]["name"]
            wanted = _condition(level, dangling=level not in levels)
            conditions = (schema.get("status") or {}).get("conditions") or ()
            if any(wanted.items() <= condition.items() for condition in conditions):
                continue
            wanted["lastTransitionTime"] = meta.format_time(self._wall_ns())
            applied = {
                "apiVersion": API_VERSION,
                "kind": "FlowSchema",
                "metadata": {"name": name},
                "status": {"conditions": [wanted]},
            }
            options = {"patchType": "apply", "fieldManager": MANAGER, "force": True}
            self._write("patch", FLOW_SCHEMAS, name, applied, "status", options)

    def _write(
        self,
        verb: str,
        resource: str,
        name: str,
        obj: Object,
        subresource: str = "",
        options: Object | None = None,
    ) -> None:
        where = None if verb == "create" else name
        body = codec.encode_value(obj)
        payload = request(verb, resource, None, where, subresource or None, body, options)
        self._submit(_Write(self), payload, API_SERVER_USER)


class _Write:
    """One write on its way: the origin of a call."""

    def __init__(self, keeper: ConfigurationKeeper) -> None:
        self._keeper = keeper

    def reply(self, _kind: str, payload: Any) -> None:
        """The answer; of a conflict the cache will tell."""
        if payload[0] >= _FAILURE and payload[0] not in _CONFLICTS:
            self._keeper.again()


def _is_kept(present: Object) -> bool:
    """Whether a suggested object is to be as it was suggested."""
    annotations = present["metadata"].get("annotations") or {}
    stated = annotations.get(AUTO_UPDATE)
    if stated is None:
        stated = "true" if present["metadata"].get("generation") == 1 else "false"
    return str(stated) == "true"


def _condition(level: str, *, dangling: bool) -> Object:
    text = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" '
    return {
        "type": _DANGLING,
        "status": "True" if dangling else "False",
        "reason": "NotFound" if dangling else "Found",
        "message": text + ("but there is no such object" if dangling else "and it exists"),
    }
