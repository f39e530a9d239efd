"""Which form of an answer an `Accept` header asks for."""

from __future__ import annotations

import pytest

from k8sactors.api.errors import StatusError
from k8sactors.gateway.negotiation import (
    JSON,
    OBJECTS,
    WATCHES,
    YAML,
    Conversion,
    Format,
    Offer,
    negotiate,
)

TABLE = Conversion("Table", "meta.k8s.io", "v1")
AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
KUBECTL = f"{AS_TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Format(JSON)),
        ("", Format(JSON)),
        ("*/*", Format(JSON)),
        ("*", Format(JSON)),
        ("application/*", Format(JSON)),
        ("application/yaml", Format(YAML)),
        ("text/html, application/yaml;q=0.5, application/json;q=0.2", Format(YAML)),
        ("*/*, application/yaml", Format(YAML)),
        ("application/xml, application/json", Format(JSON)),
        ("application/json;pretty=1", Format(JSON, pretty=True)),
        ("application/json;profile=x;charset=utf-8", Format(JSON)),
        (AS_TABLE, Format(JSON, TABLE)),
        (KUBECTL, Format(JSON, TABLE)),
        (AS_TABLE.replace("json", "yaml"), Format(YAML, TABLE)),
        # An unknown conversion is passed over.
        (AS_TABLE.replace("v1", "v9") + ",application/json", Format(JSON)),
        ("application/json;q=0.1," + AS_TABLE, Format(JSON, TABLE)),
        # A weight that is no number is the lowest.
        ("application/json;q=high,application/yaml;q=0.1", Format(YAML)),
        (
            "application/json; as=PartialObjectMetadataList; g=meta.k8s.io; v=v1beta1",
            Format(JSON, Conversion("PartialObjectMetadataList", "meta.k8s.io", "v1beta1")),
        ),
    ],
)
def test_the_best_clause_that_can_be_served_wins(accept: str | None, form: Format) -> None:
    assert negotiate(accept.encode() if accept is not None else None, OBJECTS) == form


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "nonsense",
        "application/json;as=Chair;v=v1;g=meta.k8s.io",
        "application/json;as=Table",
        "application/json;as=Table;v=v9;g=meta.k8s.io",
        "application/json;stream=watch",
    ],
)
def test_what_cannot_be_served_is_406_with_what_can(accept: str) -> None:
    with pytest.raises(StatusError) as refused:
        negotiate(accept.encode(), OBJECTS)
    assert (refused.value.code, refused.value.reason) == (406, "NotAcceptable")
    types = ", ".join(OBJECTS.media_types)
    assert str(refused.value) == f"only the following media types are accepted: {types}"


def test_a_watch_has_no_yaml() -> None:
    assert negotiate(b"application/json;stream=watch", WATCHES) == Format(JSON)
    assert negotiate(AS_TABLE.encode(), WATCHES) == Format(JSON, TABLE)
    with pytest.raises(StatusError, match="application/json;stream=watch"):
        negotiate(b"application/yaml", WATCHES)


def test_a_conversion_may_be_had_in_some_media_types_only() -> None:
    offer = Offer((JSON, YAML), ((TABLE, (YAML,)),))
    accept = f"{AS_TABLE},{AS_TABLE.replace('json', 'yaml')}"
    assert negotiate(accept.encode(), offer) == Format(YAML, TABLE)
