"""The real helm 4 with three charts: hooks and tests, a kind of its own, a hundred objects."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.clients import transcript
from tests.clients.helm import NoHelmError, fetched
from tests.clients.shell import Shell, served_cluster

HERE = Path(__file__).parent
TOPICS = sorted(path.stem for path in (HERE / "transcripts" / "helm").glob("*.txt"))
KUBECTL = Path(sys.executable).parent / "kubectl"


@pytest.fixture(scope="module")
def helm() -> Path:
    try:
        return fetched(Path(sys.prefix) / "helm")
    except NoHelmError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def kubeconfig(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    assert helm.exists()
    with served_cluster(tmp_path_factory.mktemp("served")) as path:
        yield path


@pytest.mark.skipif(not KUBECTL.exists(), reason=f"{KUBECTL} is not there")
@pytest.mark.parametrize("topic", TOPICS)
def test_the_life_of_a_release(topic: str, helm: Path, kubeconfig: Path, tmp_path: Path) -> None:
    shell = Shell.make(tmp_path, kubeconfig, topic, {"kubectl": KUBECTL, "helm": helm})
    shell = attrs.evolve(shell, environment={**shell.environment, "CHARTS": str(HERE / "charts")})
    with shell.namespace():
        transcript.check(HERE / "transcripts" / "helm" / f"{topic}.txt", "helm", shell)
