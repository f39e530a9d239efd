"""A version 2 document as protobuf: the only form in which `kubectl` reads it.

Source: the messages of `openapiv2/OpenAPIv2.proto` (google/gnostic), of which this writes the part
that documents of Kubernetes use. Values of any form (vendor extensions, enumerations) travel as
YAML text, for which JSON is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

Object = dict[str, Any]

_VARINT: Final = 0
_LENGTH: Final = 2
_MORE: Final = 0x80
_SEVEN_BITS: Final = 0x7F
_METHODS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def encode_document(document: Object) -> bytes:
    """The message `Document`."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = _named(2, ((path, _path_item(item)) for path, item in document["paths"].items()))
    definitions = _named(1, _schemas(document["definitions"]))
    return b"".join(
        (
            _text(1, document["swagger"]),
            _message(2, info),
            _message(8, paths),
            _message(9, definitions),
        )
    )


def _path_item(item: Object) -> bytes:
    methods = b"".join(
        _message(number, _operation(item[method]))
        for method, number in _METHODS.items()
        if method in item
    )
    return methods + _parameters(9, item)


def _operation(operation: Object) -> bytes:
    responses = _named(
        1, ((code, _response(each)) for code, each in operation["responses"].items())
    )
    return b"".join(
        (
            _texts(1, operation["tags"]),
            _text(3, operation["description"]),
            _text(5, operation["operationId"]),
            _texts(6, operation["produces"]),
            _texts(7, operation["consumes"]),
            _parameters(8, operation),
            _message(9, responses),
            _texts(10, operation["schemes"]),
            _extensions(13, operation),
        )
    )


def _parameters(number: int, holder: Object) -> bytes:
    return b"".join(
        _message(number, _message(1, _parameter(each))) for each in holder.get("parameters", ())
    )


def _parameter(parameter: Object) -> bytes:
    place = parameter["in"]
    if place == "body":
        body = b"".join(
            (
                _text(1, parameter.get("description", "")),
                _text(2, parameter["name"]),
                _text(3, place),
                _truth(4, value=parameter.get("required", False)),
                _message(5, _schema(parameter["schema"])),
            )
        )
        return _message(1, body)
    in_query = place == "query"
    simple = b"".join(
        (
            _truth(1, value=parameter.get("required", False)),
            _text(2, place),
            _text(3, parameter["description"]),
            _text(4, parameter["name"]),
            _text(6 if in_query else 5, parameter["type"]),
            _truth(20 if in_query else 19, value=parameter["uniqueItems"]),
        )
    )
    return _message(2, _message(3 if in_query else 4, simple))


def _response(response: Object) -> bytes:
    content = _text(1, response["description"])
    if "schema" in response:
        content += _message(2, _message(1, _schema(response["schema"])))
    return _message(1, content)


def _schemas(schemas: Object) -> Iterable[tuple[str, bytes]]:
    return ((name, _schema(schema)) for name, schema in schemas.items())


def _schema(schema: Object) -> bytes:
    parts = [
        _text(1, schema.get("$ref", "")),
        _text(2, schema.get("format", "")),
        _text(4, schema.get("description", "")),
    ]
    if "default" in schema:
        parts.append(_message(5, _any(schema["default"])))
    parts.append(_texts(19, schema.get("required", ())))
    parts += [_message(20, _any(value)) for value in schema.get("enum", ())]
    if "additionalProperties" in schema:
        parts.append(_message(21, _message(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_message(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_message(23, _message(1, _schema(schema["items"]))))
    if "properties" in schema:
        parts.append(_message(25, _named(1, _schemas(schema["properties"]))))
    parts.append(_extensions(31, schema))
    return b"".join(parts)


def _extensions(number: int, holder: Object) -> bytes:
    return _named(
        number, ((key, _any(value)) for key, value in holder.items() if key.startswith("x-"))
    )


def _any(value: Any) -> bytes:
    return _text(2, json.dumps(value) + "\n")


# The wire


def _named(number: int, entries: Iterable[tuple[str, bytes]]) -> bytes:
    """A map: messages of a name and a message."""
    return b"".join(
        _message(number, _text(1, name) + _message(2, content)) for name, content in entries
    )


def _texts(number: int, values: Iterable[str]) -> bytes:
    return b"".join(_message(number, value.encode()) for value in values)


def _text(number: int, value: str) -> bytes:
    return _message(number, value.encode()) if value else b""


def _truth(number: int, *, value: bool) -> bytes:
    return _varint(number << 3 | _VARINT) + b"\x01" if value else b""


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > _SEVEN_BITS:
        written.append(value & _SEVEN_BITS | _MORE)
        value >>= 7
    written.append(value)
    return bytes(written)
