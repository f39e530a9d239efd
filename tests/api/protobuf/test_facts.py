"""The project's table and codec agree with what is known of the real server's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k8sactors.api import protobuf
from k8sactors.api.kinds import builtin_kinds
from k8sactors.api.protobuf import encoding, table, wire
from k8sactors.api.protobuf.decoding import decode_message

FACTS = Path(__file__).parents[3] / ".." / "shared" / "facts"
SERIALIZED = sorted((FACTS / "serialized").glob("*.json"))
needs_facts = pytest.mark.skipif(not SERIALIZED, reason=f"{FACTS} is not there")

# Long names of packages, and how the table calls them.
PACKAGES = {
    "k8s.io.apimachinery.pkg.apis.meta.": "meta.",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.": "apiextensions.",
    "k8s.io.apimachinery.pkg.api.resource.": "",
    "k8s.io.apimachinery.pkg.util.intstr.": "",
    "k8s.io.apimachinery.pkg.runtime.": "",
    "k8s.io.api.": "",
}
SPECIAL = (
    ("meta.v1.", ("Time", "MicroTime", "FieldsV1")),
    (
        "apiextensions.v1.",
        (
            "JSON",
            "JSONSchemaPropsOrBool",
            "JSONSchemaPropsOrArray",
            "JSONSchemaPropsOrStringArray",
        ),
    ),
)


def short(name: str) -> str:
    for long, package in PACKAGES.items():
        if name.startswith(long):
            name = package + name.removeprefix(long)
            break
    for package, names in SPECIAL:
        if name.startswith(package) and name.removeprefix(package) in names:
            return name.removeprefix(package)
    return name


def stated_fields() -> dict[str, list[tuple[int, str, str, str]]]:
    """Message to number, name, label and type of its fields."""
    found: dict[str, list[tuple[int, str, str, str]]] = {}
    for line in (FACTS / "protobuf.tsv").read_text().splitlines()[1:]:
        message, number, name, label, kind = line.split("\t")
        if label == "map":
            kind = kind.removeprefix("map<string,").removesuffix(">")
        found.setdefault(short(message), []).append((int(number), name, label, short(kind)))
    return found


def label_of(field: table.Field) -> str:
    if field.is_map:
        return "map"
    return "repeated" if field.repeated else "optional"


def plain(name: str) -> str:
    """Names in JSON differ from those of messages in their signs and their case."""
    return name.lower().replace("-", "").replace("$", "")


@needs_facts
def test_table_states_the_numbers_names_labels_and_types_of_every_field() -> None:
    stated = stated_fields()
    compared = 0
    for message in table.messages():
        if message not in stated:
            assert table.fields_of(message) == [] or message.startswith("apiregistration."), message
            continue
        if table.is_list_of_texts(message):
            assert stated[message] == [(1, "items", "repeated", "string")]
            continue
        own = [(field.number, label_of(field), field.type) for field in table.fields_of(message)]
        assert own == [
            (number, label, kind) for number, _, label, kind in sorted(stated[message])
        ], message
        for field, (_, name, _, _) in zip(
            table.fields_of(message), sorted(stated[message]), strict=True
        ):
            assert field.name == table.INLINE or plain(field.name) == plain(name), message
            compared += 1
    assert compared > 3000


def go_forms() -> dict[str, dict[str, tuple[str, str]]]:
    """Struct to form and condition of each field."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for line in (FACTS / "types.tsv").read_text().splitlines()[1:]:
        struct, name, form, when, _ = line.split("\t")
        found.setdefault(short(struct.replace("-apiserver", "_apiserver")), {})[name] = (form, when)
    return found


@needs_facts
def test_table_states_which_fields_are_pointers_and_which_json_always_holds() -> None:
    forms = go_forms()
    compared = 0
    for message in table.messages():
        for field in () if table.is_list_of_texts(message) else table.fields_of(message):
            form, when = forms.get(message, {}).get(field.name, ("", ""))
            if not form or label_of(field) != "optional":
                continue
            # Bytes and lists of texts are written only when they are there, like pointers.
            assert field.pointer == (form != "value"), (message, field)
            if form == "value":
                assert field.always == (when == "always"), (message, field)
            compared += 1
    assert compared > 2000


def serialized(path: Path) -> tuple[dict[str, Any], bytes]:
    return json.loads(path.read_text()), path.with_suffix(".pb").read_bytes()


@needs_facts
@pytest.mark.parametrize("path", SERIALIZED, ids=lambda path: path.stem)
def test_filled_kind_is_the_same_in_json_and_protobuf(path: Path) -> None:
    obj, data = serialized(path)
    if path.stem == "core.v1.WatchEvent":
        # It says no kind, and is never sent in an envelope.
        begin = data.index(b"\x12q") + 2
        event = decode_message("meta.v1.WatchEvent", data, begin, begin + 113)
        assert event == obj
        assert encoding.encode_message("meta.v1.WatchEvent", event) == data[begin : begin + 113]
        return
    assert protobuf.decode(data) == obj
    assert protobuf.encode(obj) == data


def test_every_built_in_kind_and_its_list_has_a_form() -> None:
    missing = [
        (served.api_version, name)
        for kind in builtin_kinds()
        for served in kind.served
        for name in (kind.kind, kind.list_kind if "list" in kind.verbs else kind.kind)
        if not protobuf.has_form(served.api_version, name)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("example.com/v1", "Deployment"),
        ("apps.example.k8s.io/v1", "Deployment"),
        ("apps.k8s.io/v1", "Deployment"),
        ("core.k8s.io/v1", "Pod"),
        ("example.com/v1", "Status"),
        ("meta.k8s.io/v1", "Table"),
        ("apps/v1", "Pod"),
        ("", "Pod"),
    ],
)
def test_other_kinds_have_no_form(api_version: str, kind: str) -> None:
    assert not protobuf.has_form(api_version, kind)


def test_all_messages_compile() -> None:
    for message in table.messages():
        if not table.is_list_of_texts(message):
            data = encoding.encode_message(message, {})
            decode_message(message, data, 0, len(data))
    assert wire.varint(300) == b"\xac\x02"
