"""A served cluster for programs of other makers, and a shell in which they find it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import yaml

from tests.gateway.served import ROOT

TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0


@contextmanager
def served_cluster(directory: Path, *options: str) -> Iterator[Path]:
    """Serve a cluster of two workers; gives the path of its kubeconfig."""
    kubeconfig = directory / "admin.conf"
    command = ("serve", "--port", "0", "--workers", "2", "--kubeconfig", str(kubeconfig), *options)
    process = subprocess.Popen(
        [sys.executable, "-m", "k8sactors", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            if "ready\n" not in iter(process.stdout.readline, ""):
                raise AssertionError("the cluster did not start")
            yield kubeconfig
            process.send_signal(signal.SIGINT)
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()


@attrs.frozen
class Shell:
    """Runs commands in a directory, with a namespace that is the default of its kubeconfig."""

    environment: Mapping[str, str]
    directory: Path
    name: str

    @staticmethod
    def make(home: Path, kubeconfig: Path, namespace: str, programs: Mapping[str, Path]) -> Shell:
        """A shell that finds the `programs` before others of the same names."""
        own = yaml.safe_load(kubeconfig.read_text())
        for context in own["contexts"]:
            context["context"]["namespace"] = namespace
        (home / "kubeconfig").write_text(yaml.safe_dump(own))
        (home / "bin").mkdir()
        (home / "work").mkdir()
        for name, path in programs.items():
            (home / "bin" / name).symlink_to(path)
        environment = {
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(home / "kubeconfig"),
            "NAMESPACE": namespace,
        }
        return Shell(environment, home / "work", namespace)

    def run(self, command: str, stdin: str = "") -> tuple[int, list[str]]:
        """The exit status, and the lines that were printed on both outputs but for blank ones."""
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env=self.environment,
            cwd=self.directory,
        )
        return done.returncode, [line for line in done.stdout.splitlines() if line.strip()]

    @contextmanager
    def namespace(self) -> Iterator[None]:
        """The namespace, which is deleted in the end with all that is in it."""
        assert self.run("kubectl create namespace $NAMESPACE")[0] == 0
        try:
            yield
        finally:
            assert self.run("kubectl delete namespace $NAMESPACE --wait=false")[0] == 0
