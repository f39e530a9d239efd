"""Bytes in JSON are base64, with nothing else in it.

Protobuf's JSON parser for Python drops every character that is not of base64: a value that was not
encoded would be stored as something else. So it is looked at before.
"""

from __future__ import annotations

import re
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from raftstore.errors import INVALID_ARGUMENT, StoreError

# Of either alphabet; the padding may be missing.
BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


def check_bytes(value: dict[str, Any], message: Descriptor) -> None:
    """Look at all bytes in a request, those of messages in it included.

    Raises:
        StoreError: some are no base64.
    """
    for name, item in value.items():
        field = message.fields_by_name.get(name) or message.fields_by_camelcase_name.get(name)
        if field is not None:
            _check(item, field)


def _check(item: Any, field: FieldDescriptor) -> None:
    if isinstance(item, list):
        for one in item:
            _check(one, field)
    elif field.message_type is not None:
        if isinstance(item, dict):
            check_bytes(item, field.message_type)
    elif (
        field.type == FieldDescriptor.TYPE_BYTES
        and isinstance(item, str)
        and not BASE64.fullmatch(item)
    ):
        text = f"invalid value for bytes field {field.name}: it is no base64"
        raise StoreError(INVALID_ARGUMENT, text)
