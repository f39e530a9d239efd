"""What a real API server answered, as pairs of request and response."""

import json
from pathlib import Path
from typing import Any

import pytest

TRANSCRIPTS = Path(__file__).parents[2] / ".." / "shared" / "golden" / "api" / "transcripts"
APPS = Path(__file__).parents[2] / ".." / "shared" / "apps"


def cases(area: str) -> list[dict[str, Any]]:
    path = TRANSCRIPTS / f"{area}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there", allow_module_level=True)
    found: list[dict[str, Any]] = json.loads(path.read_text())["cases"]
    return found
