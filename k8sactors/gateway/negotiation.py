"""Content negotiation: in which media type a client wants an answer, and what is to be made of it.

A clause of an `Accept` header names a media type and may ask for a conversion of the object: into a
Table, into its metadata alone, or (of discovery) into the aggregated form. The clause of the
highest quality that can be served wins; clauses of equal quality count in their order, wildcards
last.
Source: Kubernetes API concepts ("Alternate representations of resources", "Receiving resources as
Tables") and apiserver's `endpoints/handlers/negotiation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import attrs

from k8sactors.api.errors import StatusError, not_acceptable

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
# Clients write an @ into the name, which no media type may contain.
OPENAPI_V2_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
APPLY: Final = "apply"
PATCH_TYPES: Final = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": APPLY,
}
TABLE: Final = "Table"
METADATA: Final = "PartialObjectMetadata"
METADATA_LIST: Final = "PartialObjectMetadataList"
_WATCH: Final = ";stream=watch"
# Headers are remembered: each client sends the same few.
_REMEMBERED: Final = 512
_NO_QUALITY: Final = 1.0


@attrs.frozen
class Conversion:
    """What is to be made of an object: a kind that is only a view of others."""

    kind: str
    group: str
    version: str

    @property
    def api_version(self) -> str:
        """`meta.k8s.io/v1`."""
        return f"{self.group}/{self.version}"


@attrs.frozen
class Format:
    """The form of an answer."""

    media_type: str = JSON
    # None: the object as it is.
    conversion: Conversion | None = None
    # With line breaks and indents.
    pretty: bool = False


@attrs.frozen
class Offer:
    """What an endpoint can send, the default first."""

    media_types: tuple[str, ...]
    # Each with the media types in which it can be had; None: in all.
    conversions: tuple[tuple[Conversion, tuple[str, ...] | None], ...] = ()
    # Media types in which nothing but conversions can be had.
    converted_only: tuple[str, ...] = ()
    # Whether answers are streams of events.
    streams: bool = False

    def allows(self, conversion: Conversion | None, media_type: str) -> bool:
        """Whether an object may be sent like that."""
        if conversion is None:
            return media_type not in self.converted_only
        return any(
            conversion == offered and (only is None or media_type in only)
            for offered, only in self.conversions
        )


_META_VERSIONS: Final = ("v1", "v1beta1")
_META: Final = "meta.k8s.io"
_OBJECT_CONVERSIONS: Final = tuple(
    (Conversion(kind, _META, version), (JSON, YAML) if kind == TABLE else None)
    for kind in (TABLE, METADATA, METADATA_LIST)
    for version in _META_VERSIONS
)
OBJECTS: Final = Offer((JSON, YAML, PROTOBUF), _OBJECT_CONVERSIONS)
# YAML has no frames, so that events cannot be told apart.
WATCHES: Final = Offer((JSON, PROTOBUF), _OBJECT_CONVERSIONS, streams=True)
# Of kinds that have no protobuf form; their metadata alone has one.
CUSTOM_OBJECTS: Final = attrs.evolve(OBJECTS, converted_only=(PROTOBUF,))
CUSTOM_WATCHES: Final = attrs.evolve(WATCHES, converted_only=(PROTOBUF,))
PAGES: Final = Offer((JSON, YAML, PROTOBUF))
_AGGREGATED: Final = Conversion("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")
DISCOVERY: Final = Offer((JSON, YAML, PROTOBUF), ((_AGGREGATED, (JSON,)),))
OPENAPI_V3: Final = Offer((JSON,))
OPENAPI_V2: Final = Offer((JSON, OPENAPI_V2_PROTOBUF, OPENAPI_V2_PROTOBUF.replace("@", ".")))


@attrs.frozen
class _Clause:
    kind: str
    subtype: str
    parameters: tuple[tuple[str, str], ...]
    quality: float

    def matches(self, media_type: str) -> bool:
        kind, _, subtype = media_type.partition("/")
        return self.kind in {kind, "*"} and self.subtype in {subtype, "*"}

    @property
    def rank(self) -> tuple[float, bool, bool]:
        """Wildcards come after what is named."""
        return (-self.quality, self.kind == "*", self.subtype == "*")


@lru_cache(maxsize=_REMEMBERED)
def negotiate(accept: bytes | None, offer: Offer) -> Format:
    """The best form that a client takes and an endpoint offers.

    Raises:
        StatusError: 406, there is none.
    """
    if not accept:
        return Format(offer.media_types[0])
    for clause in sorted(_clauses(accept.decode("latin-1")), key=lambda clause: clause.rank):
        for media_type in offer.media_types:
            found = _accept(clause, media_type, offer) if clause.matches(media_type) else None
            if found is not None:
                return found
    raise not_acceptable_among(offer)


def not_acceptable_among(offer: Offer) -> StatusError:
    """406 with what an endpoint offers."""
    suffix = _WATCH if offer.streams else ""
    whole = (each for each in offer.media_types if each not in offer.converted_only)
    media_types = ", ".join(f"{each}{suffix}" for each in whole)
    return not_acceptable(f"only the following media types are accepted: {media_types}")


def _clauses(text: str) -> Iterator[_Clause]:
    for part in text.split(","):
        media_type, *settings = part.split(";")
        kind, slash, subtype = media_type.strip().partition("/")
        if not slash:
            if kind != "*":
                continue
            subtype = "*"
        quality = _NO_QUALITY
        parameters: list[tuple[str, str]] = []
        for setting in settings:
            key, _, value = setting.strip().partition("=")
            if key == "q":
                quality = _quality(value)
            else:
                parameters.append((key, value))
        yield _Clause(kind, subtype, tuple(parameters), quality)


def _quality(text: str) -> float:
    """A weight (RFC 9110, section 12.4.2); one that is malformed counts as the lowest."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    return float(text) if digits.isascii() and digits.isdecimal() else 0.0


def _accept(clause: _Clause, media_type: str, offer: Offer) -> Format | None:
    parameters = dict(clause.parameters)
    if parameters.get("stream", "watch") != "watch" or ("stream" in parameters) > offer.streams:
        return None
    conversion = None
    if parameters.keys() & {"as", "g", "v"}:
        conversion = Conversion(*(parameters.get(key, "") for key in ("as", "g", "v")))
    if not offer.allows(conversion, media_type):
        return None
    return Format(media_type, conversion, parameters.get("pretty") == "1")
