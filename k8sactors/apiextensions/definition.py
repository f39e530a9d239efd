"""The kind CustomResourceDefinition itself: its record, with the rules that need a compiler.

Names and form stand with the built-in kinds; what is checked needs structural schemas and CEL.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.api.columns import CREATED_AT, NAME
from k8sactors.api.effects import Deletion, Outcome
from k8sactors.api.kind import Kind
from k8sactors.api.meta import format_time
from k8sactors.api.scheme import Scheme
from k8sactors.api.strategies import StatusStrategy
from k8sactors.apiextensions.definition_rules import (
    check_definition,
    check_definition_status,
    check_definition_update,
)
from k8sactors.apiextensions.names import (
    CLEANUP_FINALIZER,
    TERMINATING,
    condition,
    with_condition,
)

Object = dict[str, Any]
API_VERSION: Final = "apiextensions.k8s.io/v1"
PLURAL: Final = "customresourcedefinitions"
RESOURCE: Final = "customresourcedefinitions.apiextensions.k8s.io"


class DefinitionStrategy(StatusStrategy):
    """Definitions remember storage versions, and are held until their objects are gone."""

    has_generation = True

    def prepare_for_create(self, obj: Object, now: str) -> None:
        """Nothing is accepted yet; the storage version is the first that was stored."""
        super().prepare_for_create(obj, now)
        obj["status"] = {
            "conditions": [],
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": _storage_versions(obj),
        }

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """A new storage version is added to those that were."""
        super().prepare_for_update(new, old)
        status = new.get("status") or {}
        stored = list(status.get("storedVersions") or ())
        added = [name for name in _storage_versions(new) if name not in stored]
        if added:
            new["status"] = {**status, "storedVersions": [*stored, *added]}

    def decide_deletion(self, obj: Object, finalizers: list[str], wall_ns: int) -> Deletion | None:
        """The first request to delete a definition only marks it."""
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            return None
        now = format_time(wall_ns)
        text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin "
        pending = condition(TERMINATING, True, "InstanceDeletionPending", f"{text}soon", now)
        status = obj.get("status") or {}
        held = finalizers if CLEANUP_FINALIZER in finalizers else [*finalizers, CLEANUP_FINALIZER]
        marked = {
            **obj,
            "metadata": {**metadata, "deletionTimestamp": now, "finalizers": held},
            "status": {
                **status,
                "conditions": with_condition(status.get("conditions") or (), pending),
            },
        }
        return Deletion(Outcome.MARK, marked)


def _storage_versions(obj: Object) -> list[str]:
    versions = (obj.get("spec") or {}).get("versions") or ()
    return [each["name"] for each in versions if each.get("storage") and each.get("name")]


def definition_kind(record: Kind) -> Kind:
    """The built-in record of the kind with its rules and strategy."""
    return attrs.evolve(
        record,
        check=check_definition,
        check_update=check_definition_update,
        check_status=check_definition_status,
        columns=(NAME, CREATED_AT),
        strategy=DefinitionStrategy,
    )


def with_definitions(scheme: Scheme) -> Scheme:
    """The scheme, whose definitions of custom resources are checked and held."""
    info = scheme.at_path(API_VERSION, PLURAL)
    if info is not None and not issubclass(info.record.strategy, DefinitionStrategy):
        scheme.remove(info.record)
        scheme.add(definition_kind(info.record))
    return scheme
