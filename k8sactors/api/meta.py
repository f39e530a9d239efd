"""Object metadata: names, owners, conditions and times, as every component needs them.

Objects are immutable: each function that "changes" one returns a new object that shares all the
rest. Sources: API conventions ("Metadata", "Typical status properties") and the documentation of
garbage collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

from k8sactors.simulation import SECOND

# No vowels and no look-alikes: a random name never spells a word.
NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
NAME_SUFFIX_LENGTH = 5
NAME_LENGTH_MAX = 63

_MICROSECOND_NS = 1_000


class RandomStream(Protocol):
    """What is drawn on: a named stream of the simulation (`random.Random` is one)."""

    def getrandbits(self, k: int, /) -> int:
        """An integer of `k` random bits."""

    def choices(self, population: Sequence[str], /, *, k: int) -> list[str]:
        """`k` elements drawn with replacement."""


def random_suffix(rng: RandomStream, length: int = NAME_SUFFIX_LENGTH) -> str:
    """A name suffix drawn from the caller's random stream."""
    return "".join(rng.choices(NAME_ALPHABET, k=length))


def generate_name(prefix: str, rng: RandomStream) -> str:
    """The name for `metadata.generateName`; a long prefix is cut so that the suffix fits."""
    return prefix[: NAME_LENGTH_MAX - NAME_SUFFIX_LENGTH] + random_suffix(rng)


def new_uid(rng: RandomStream) -> str:
    """A version 4 UUID drawn from the caller's random stream."""
    bits = rng.getrandbits(128) & ~(0xF << 76) | (4 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def name_of(obj: dict[str, Any]) -> str:
    """`metadata.name`."""
    name: str = obj["metadata"]["name"]
    return name


def split_api_version(api_version: str) -> tuple[str, str]:
    """`apps/v1` is ("apps", "v1"), `v1` is ("", "v1")."""
    group, slash, version = api_version.partition("/")
    return (group, version) if slash else ("", group)


def key_of(obj: dict[str, Any]) -> str:
    """`namespace/name`, or `name` for objects of the cluster: the key of caches and queues."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


def split_key(key: str) -> tuple[str, str]:
    """The namespace ("" when there is none) and name in a key."""
    namespace, slash, name = key.partition("/")
    return (namespace, name) if slash else ("", namespace)


def resource_version(obj: dict[str, Any]) -> int:
    """The store revision that the object was read at, 0 when it carries none."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def owner_reference(
    owner: dict[str, Any], *, controller: bool = True, block_owner_deletion: bool = True
) -> dict[str, Any]:
    """The reference that a dependent carries in `metadata.ownerReferences`."""
    metadata = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    if controller:
        reference["controller"] = True
    if block_owner_deletion:
        reference["blockOwnerDeletion"] = True
    return reference


def controller_of(obj: dict[str, Any]) -> dict[str, Any] | None:
    """The owner reference of the one controller that manages the object."""
    references: list[dict[str, Any]] = obj["metadata"].get("ownerReferences") or []
    for reference in references:
        if reference.get("controller"):
            return reference
    return None


def is_controlled_by(obj: dict[str, Any], owner: dict[str, Any]) -> bool:
    """Whether `owner` (by uid, not by name) is the object's controller."""
    reference = controller_of(obj)
    return reference is not None and bool(reference["uid"] == owner["metadata"]["uid"])


def get_condition(obj: dict[str, Any], condition_type: str) -> dict[str, Any] | None:
    """The condition of that type in `status.conditions`."""
    conditions: list[dict[str, Any]] = (obj.get("status") or {}).get("conditions") or []
    for condition in conditions:
        if condition["type"] == condition_type:
            return condition
    return None


def condition_is(obj: dict[str, Any], condition_type: str, status: str = "True") -> bool:
    """Whether the condition exists and has that status."""
    condition = get_condition(obj, condition_type)
    return condition is not None and condition["status"] == status


def set_condition(
    conditions: list[dict[str, Any]] | None, condition: dict[str, Any], now: str
) -> list[dict[str, Any]]:
    """The conditions with one set; `lastTransitionTime` moves only when the status changes."""
    result: list[dict[str, Any]] = []
    placed = False
    for present in conditions or ():
        if present["type"] != condition["type"]:
            result.append(present)
            continue
        unchanged = present["status"] == condition["status"]
        since = present.get("lastTransitionTime", now) if unchanged else now
        result.append({**present, **condition, "lastTransitionTime": since})
        placed = True
    if not placed:
        result.append({"lastTransitionTime": now, **condition})
    return result


@lru_cache(maxsize=64)
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def format_time(wall_ns: int) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time is written."""
    return _format_second(wall_ns // SECOND) + "Z"


def format_micro_time(wall_ns: int) -> str:
    """RFC 3339 in UTC with microseconds, as metav1.MicroTime is written."""
    second, rest_ns = divmod(wall_ns, SECOND)
    return f"{_format_second(second)}.{rest_ns // _MICROSECOND_NS:06d}Z"


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of either form; raises ValueError."""
    moment = datetime.fromisoformat(text)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * SECOND + moment.microsecond * _MICROSECOND_NS
