"""The record of a kind: everything that the API server knows of it, in one place.

A `Kind` holds its names, the versions in which it is served, defaults, validation, field labels,
printer columns and strategy. The built-in ones stand in `api/kinds`, one module per API group; a
custom resource is the same record, built at run time. A `ResourceInfo` is one version of a kind as
it is served: what a request means.

All versions of a kind share one storage form, that of the first in `served`; the others convert
from and to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from k8sactors.api.columns import DEFAULT, Column
from k8sactors.api.errors import Cause, qualified
from k8sactors.api.field_labels import NO_FIELDS, SelectableFields
from k8sactors.api.schema import Schema
from k8sactors.api.strategies import StatusStrategy
from k8sactors.api.strategy import Strategy

Object = dict[str, Any]
Convert = Callable[[Object], Object]
Check = Callable[[Object, list[Cause]], None]
UpdateCheck = Callable[[Object, Object, list[Cause]], None]
NameRule = Callable[[str], tuple[str, ...]]

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
# Kinds that are not deleted many at a time.
ONE_BY_ONE = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
# Requests in the form of objects: nothing of them is kept.
ASKED_ONLY = ("create",)


class Rules(Protocol):
    """What the schema of a version says of its objects, in place of a kind's checks."""

    def check_create(self, obj: Object, causes: list[Cause]) -> None:
        """Why a new object is refused."""

    def check_update(self, old: Object, new: Object, causes: list[Cause]) -> None:
        """Why `old` may not become `new`, also by way of a subresource."""


@attrs.frozen(eq=False)
class ScalePaths:
    """Where the objects of a kind keep what its Scale shows: dotted paths."""

    spec_replicas: str
    status_replicas: str
    # A text with a label selector; "" where there is none.
    label_selector: str = ""


@attrs.frozen(eq=False)
class Served:
    """A version in which a kind is served. `group` is "" for the core group.

    The functions return new objects that share what did not change; None: there is nothing to do.
    """

    group: str
    version: str
    # Fills in the defaults of this version.
    default: Convert | None = None
    # From this version to the storage version, and back; None in the storage version itself.
    to_storage: Convert | None = None
    from_storage: Convert | None = None
    # This version's field labels, each with that of the storage version; None: they are the same.
    field_labels: Mapping[str, str] | None = None
    # Whether objects are only stored in this version, and no client can ask for it.
    only_stored: bool = False
    # What this version has in place of what stands in the record; None: as there.
    schema: Schema | None = None
    columns: tuple[Column, ...] | None = None
    subresources: tuple[str, ...] | None = None
    rules: Rules | None = None
    # What clients that write objects of this version are warned of; "": nothing.
    warning: str = ""
    # Where replicas are counted; None: in the fields of the built-in workloads.
    scale: ScalePaths | None = None

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version


@attrs.frozen(eq=False, kw_only=True)
class Kind:
    """A kind, whatever its version."""

    kind: str
    plural: str
    # The first is the version in which objects are stored.
    served: tuple[Served, ...]
    namespaced: bool = True
    singular: str = attrs.field()
    list_kind: str = attrs.field()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    # The form of its objects; None: the definition in the served release.
    schema: Schema | None = None
    # What a new object shows as its status before any controller has seen it; None: no status.
    initial_status: Object | None = None
    # What its names must be; None: a DNS subdomain.
    name_rule: NameRule | None = None
    # Why an object may not exist, and why an object may not become another one.
    check: Check | None = None
    check_update: UpdateCheck | None = None
    # Why its status may not become another one.
    check_status: UpdateCheck | None = None
    fields: SelectableFields = NO_FIELDS
    # What `kubectl get` shows.
    columns: tuple[Column, ...] = DEFAULT
    # What it does beyond the generic rules when its objects are written.
    strategy: type[Strategy] = attrs.field()

    @singular.default
    def _singular(self) -> str:
        return self.kind.lower()

    @list_kind.default
    def _list_kind(self) -> str:
        return f"{self.kind}List"

    @strategy.default
    def _strategy(self) -> type[Strategy]:
        return StatusStrategy if "status" in self.subresources else Strategy

    @property
    def storage_name(self) -> str:
        """The name of its key space and cache, which all versions share."""
        return qualified(self.plural, self.served[0].group)

    def infos(self) -> tuple[ResourceInfo, ...]:
        """One ResourceInfo per served version, the storage version first; there may be none."""
        groups: dict[str, None] = {}
        found: list[ResourceInfo] = []
        for served in self.served:
            if served.only_stored:
                continue
            found.append(ResourceInfo(self, served, preferred=served.group not in groups))
            groups[served.group] = None
        return tuple(found)


@attrs.frozen(eq=False, init=False)
class ResourceInfo:
    """One served resource in one version. `group` is "" for the core group."""

    record: Kind
    served: Served
    group: str
    version: str
    # `v1` or `apps/v1`.
    api_version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    subresources: tuple[str, ...]
    list_kind: str
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    # What requests call it: `pods`, `deployments.apps`; a version that its group does not prefer
    # is named in full.
    name: str
    # `plural.version.group`, as kubectl writes it (`pods.v1.`).
    full_name: str
    # The name of its key space and cache, which all versions share.
    storage_name: str
    initial_status: Object | None
    # The form of its objects; None: the definition in the served release.
    schema: Schema | None
    columns: tuple[Column, ...]

    def __init__(self, record: Kind, served: Served, *, preferred: bool) -> None:
        group, version, plural = served.group, served.version, record.plural
        full_name = f"{plural}.{version}.{group}"
        self.__attrs_init__(
            record=record,
            served=served,
            group=group,
            version=version,
            api_version=served.api_version,
            kind=record.kind,
            plural=plural,
            singular=record.singular,
            short_names=record.short_names,
            namespaced=record.namespaced,
            subresources=record.subresources
            if served.subresources is None
            else served.subresources,
            list_kind=record.list_kind,
            categories=record.categories,
            verbs=record.verbs,
            name=qualified(plural, group) if preferred else full_name,
            full_name=full_name,
            storage_name=record.storage_name,
            initial_status=record.initial_status,
            schema=served.schema or record.schema,
            columns=served.columns or record.columns,
        )

    @property
    def stored(self) -> bool:
        """Whether objects of it are kept: reviews and bindings are only asked."""
        return "delete" in self.verbs

    @property
    def is_storage_version(self) -> bool:
        """Whether objects are stored in this version's form."""
        return self.served is self.record.served[0]
