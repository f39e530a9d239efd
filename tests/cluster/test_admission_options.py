"""Which admission plugins a cluster runs, as a user chooses them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from k8sactors.cli.admission import plugin_choice, read_admission_configuration
from k8sactors.cli.serve import serve
from k8sactors.cluster import ClusterSpec


@pytest.mark.parametrize(
    ("enabled", "disabled", "expected"),
    [
        ("", "", (("NodeRestriction",), ())),
        ("AlwaysPullImages", "Priority", (("AlwaysPullImages", "NodeRestriction"), ("Priority",))),
        ("", "NodeRestriction", ((), ())),
    ],
)
def test_lists_with_commas_choose_plugins(
    enabled: str, disabled: str, expected: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    assert plugin_choice(enabled, disabled) == expected


def test_the_configuration_of_a_plugin_stands_in_the_file_or_in_another(tmp_path: Path) -> None:
    (tmp_path / "events.yaml").write_text("limits: [{type: Server, qps: 1, burst: 1}]\n")
    (tmp_path / "admission.yaml").write_text(
        "apiVersion: apiserver.config.k8s.io/v1\n"
        "kind: AdmissionConfiguration\n"
        "plugins:\n"
        "- {name: EventRateLimit, path: events.yaml}\n"
        "- {name: PodSecurity, configuration: {defaults: {enforce: baseline}}}\n"
    )
    assert read_admission_configuration(tmp_path / "admission.yaml") == {
        "EventRateLimit": {"limits": [{"type": "Server", "qps": 1, "burst": 1}]},
        "PodSecurity": {"defaults": {"enforce": "baseline"}},
    }


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: Pod\n")
    with pytest.raises(click.BadParameter, match="of kind AdmissionConfiguration is expected"):
        read_admission_configuration(tmp_path / "a.yaml")


def test_a_cluster_with_an_unknown_plugin_is_impossible() -> None:
    problems = ClusterSpec(enable_admission_plugins=("Nothing",)).problems()
    assert problems == ['enable-admission-plugins plugin "Nothing" is unknown']


def test_serve_refuses_an_unknown_plugin() -> None:
    result = CliRunner().invoke(serve, ["--enable-admission-plugins", "Nothing"])
    assert result.exit_code == 2
    assert 'enable-admission-plugins plugin "Nothing" is unknown' in result.output
