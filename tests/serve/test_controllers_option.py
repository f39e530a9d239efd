"""`k8sactors serve --controllers` selects as the real controller manager does."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from k8sactors.cli.serve import serve


@pytest.mark.covers("CT-02")
def test_an_unknown_controller_is_refused_before_anything_starts() -> None:
    result = CliRunner().invoke(serve, ["--controllers", "*,-nonsense", "--port", "0"])
    assert result.exit_code == 2
    assert "there is no controller 'nonsense'; known are" in result.output
