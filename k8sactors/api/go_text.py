"""JSON values as Go prints them: the API's messages show values in these forms."""

from __future__ import annotations

import json
from typing import Any


def go_format(value: Any) -> str:
    """A JSON value as Go's %+v prints it: `map[spec:map[replicas:3]]`."""
    match value:
        case dict():
            inner = " ".join(f"{key}:{go_format(value[key])}" for key in sorted(value))
            return f"map[{inner}]"
        case list():
            return f"[{' '.join(go_format(item) for item in value)}]"
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def go_json(value: Any) -> str:
    """A JSON value as Go's encoder writes it: sorted, without spaces, safe within HTML."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def go_quoted(text: str) -> str:
    """A text as Go's %q writes it."""
    return json.dumps(text, ensure_ascii=False)
