"""Which message has which fields: `data/protobuf.json`, read when it is first needed.

Each entry is a message, its fields in the order of their numbers: `NUMBER NAME TYPE`, separated by
commas. NAME is the field's name in JSON, `-` for the fields of a message that stand in this one.
TYPE begins with a dot when the message is of the same package. Signs behind it:

- none: a plain value, written even when it is empty; in JSON left out when it is
- `!` a plain value that stands in JSON even when it is empty; `0` a zero time is left out there
- `?` a pointer, `[]` a list, `{}` a map with text keys

The entry `@items` is a message that is a list of texts in JSON.
"""

from __future__ import annotations

import importlib.resources
import json
from functools import cache

import attrs

INLINE = "-"
LIST_OF_TEXTS = "@items"

_META = "meta.v1"
# Registered in every group version.
_IN_EVERY_GROUP = frozenset(
    {
        "CreateOptions",
        "DeleteOptions",
        "GetOptions",
        "ListOptions",
        "PatchOptions",
        "UpdateOptions",
        "WatchEvent",
    }
)
# Of version v1 without a group, whatever the group of what they tell about.
_WITHOUT_GROUP = frozenset({"APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"})
_SHORT_GROUPS = frozenset({"apps", "autoscaling", "batch", "policy"})
_LONG_GROUPS = {
    "rbac.authorization.k8s.io": "rbac",
    "flowcontrol.apiserver.k8s.io": "flowcontrol",
    "internal.apiserver.k8s.io": "apiserverinternal",
}
_SUFFIX = ".k8s.io"


@attrs.frozen
class Field:
    """A field of a message."""

    number: int
    # In JSON; `INLINE`: none, the fields of the message stand in the one around it.
    name: str
    # A scalar of protobuf, a special type, or a message with its package.
    type: str
    pointer: bool = False
    repeated: bool = False
    is_map: bool = False
    # Whether an empty plain value stands in JSON; a zero time does unless `omit_zero`.
    always: bool = False
    omit_zero: bool = False

    @property
    def keeps_empty(self) -> bool:
        """Whether what the message states stands in JSON even when it is empty."""
        return self.pointer or self.always


@cache
def _table() -> dict[str, str]:
    data = importlib.resources.files("k8sactors.api") / "data" / "protobuf.json"
    found: dict[str, str] = json.loads(data.read_text("utf-8"))
    return found


def messages() -> list[str]:
    """The names of all messages."""
    return list(_table())


def is_list_of_texts(message: str) -> bool:
    """Whether the message is a list in JSON."""
    return _table().get(message) == LIST_OF_TEXTS


def fields_of(message: str) -> list[Field]:
    """The fields of a message, in the order of their numbers."""
    text = _table()[message]
    package = message.rpartition(".")[0]
    return [_field(entry, package) for entry in text.split(", ")] if text else []


def _field(entry: str, package: str) -> Field:
    number, name, stated = entry.split(" ")
    # A number at the end may belong to the name of the type.
    kind = stated.rstrip("?!{}[]")
    omit_zero = kind == "Time0"
    if omit_zero:
        kind = "Time"
    signs = stated[len(kind) :]
    if kind.startswith("."):
        kind = package + kind
    return Field(
        int(number),
        name,
        kind,
        pointer="?" in signs,
        repeated="[]" in signs,
        is_map="{}" in signs,
        always="!" in signs,
        omit_zero=omit_zero,
    )


def _package_of(api_version: str) -> str | None:
    """The package of a group version: `rbac.v1` for `rbac.authorization.k8s.io/v1`."""
    group, _, version = api_version.rpartition("/")
    if not group:
        return f"core.{version}"
    if group in _SHORT_GROUPS:
        return f"{group}.{version}"
    short = _LONG_GROUPS.get(group)
    if short is None and group.endswith(_SUFFIX):
        short = group.removesuffix(_SUFFIX)
    if short is None or "." in short or short == "core" or short in _SHORT_GROUPS:
        return None
    return f"{short}.{version}"


def message_of(api_version: str, kind: str) -> str | None:
    """The message of a kind; None: the kind has no protobuf form."""
    if kind in _IN_EVERY_GROUP or (kind in _WITHOUT_GROUP and api_version == "v1"):
        return f"{_META}.{kind}"
    package = _package_of(api_version)
    if package == "meta.v1beta1" and kind == "PartialObjectMetadata":
        # The same type; of that version only the list is a message of its own.
        package = _META
    name = f"{package}.{kind}"
    return name if package is not None and name in _table() else None
