"""The examples of docs/testing.md find the bug that they tell of, and pass when it is mended."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = re.compile(r"^### (\w+): .*?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HELPERS = {
    "fail_next",
    "conflict_next",
    "lose_answer",
    "slow",
    "drop_watch",
    "stale_reads",
    "expire_history",
}


def test_each_helper_s_example_finds_its_bug(tmp_path: Path) -> None:
    examples = dict(EXAMPLE.findall((DOCS / "testing.md").read_text(encoding="utf-8")))
    assert examples.keys() == HELPERS
    for name, code in examples.items():
        assert f".{name}(" in code
        (tmp_path / f"test_{name}.py").write_text(code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\n", encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    # One sloppy and one careful reconciler for each: the first is found out, the second passes.
    assert found.returncode == 0, found.stdout[-4000:]
    assert f"{len(HELPERS)} passed, {len(HELPERS)} xfailed" in found.stdout
