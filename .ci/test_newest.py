"""Runs every check on the newest versions that pyproject.toml allows, and says what broke what.

Versions drift: a library that was released after requirements.lock was written may break us on the
machines of users who install without it. This script makes an environment of the newest versions,
runs the suite there, and for each failure looks for the one package whose new version causes it:
the locked environment plus that package alone. Exit status: 0 all passed, 1 something broke.

    make test-newest
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
NEWEST, SINGLE = ROOT / ".venv-newest", ROOT / ".venv-single"
STATIC_CHECKS = {
    "lint": ("ruff", "check", "--quiet", "."),
    "types": ("mypy",),
    "contracts": ("lint-imports",),
}
Versions = dict[str, str]


def canonical(name: str) -> str:
    """A package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_versions(lock: str) -> Versions:
    """Name to version of every pin in the text of a lock file that is for this interpreter.

    A package may be pinned once for each range of Python versions.
    """
    pins = re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^\s;]+)(?: ; ([^\\\n]+))?", lock)
    return {
        canonical(name): version
        for name, version, marker in pins
        if not marker or Marker(marker.strip()).evaluate()
    }


def changed_versions(locked: Versions, newest: Versions) -> list[tuple[str, str, str]]:
    """(package, locked version, newest version) where the two differ; "" where it is absent."""
    names = sorted(name for name in newest if newest[name] != locked.get(name))
    return [(name, locked.get(name, ""), newest[name]) for name in names]


def failed_tests(output: str) -> list[str]:
    """The ids of tests that failed, from what pytest printed with `-rfE`."""
    found = re.findall(r"(?m)^(?:FAILED|ERROR) (\S+?)(?: - .*)?$", output)
    return list(dict.fromkeys(found))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's folder and keep what it prints."""
    return subprocess.run(  # noqa: S603 - commands of this file
        [str(part) for part in command], cwd=ROOT, text=True, capture_output=True, check=False
    )


def uv(*arguments: str | Path) -> None:
    """Run uv, which the lock extra installs; its failure ends the script with its words."""
    done = run(Path(sys.executable).with_name("uv"), *arguments)
    if done.returncode:
        sys.exit(f"uv {' '.join(map(str, arguments))} failed:\n{done.stderr}")


def make_environment(folder: Path) -> None:
    """An empty environment of the Python that runs this script."""
    shutil.rmtree(folder, ignore_errors=True)
    uv("venv", "--quiet", "--python", sys.executable, folder)


def install_locked(folder: Path) -> None:
    """The locked versions, and the project itself."""
    python = folder / "bin/python"
    uv("pip", "install", "-q", "--python", python, "--require-hashes", "--no-deps", "-r", LOCK)
    uv("pip", "install", "-q", "--python", python, "--no-deps", "-e", ROOT)


def installed_versions(folder: Path) -> Versions:
    """Name to version of everything in an environment."""
    done = run(Path(sys.executable).with_name("uv"), "pip", "list", "-q", "--python",
               folder / "bin/python", "--format", "json")  # fmt: skip
    return {canonical(row["name"]): row["version"] for row in json.loads(done.stdout)}


def failures(folder: Path, tests: Iterable[str], checks: Iterable[str]) -> list[str]:
    """The tests (all, when none is named by an empty string) and static checks that fail."""
    found = [name for name in checks if run(folder / "bin" / STATIC_CHECKS[name][0],
                                            *STATIC_CHECKS[name][1:]).returncode]  # fmt: skip
    chosen = list(tests)
    if chosen:
        done = run(folder / "bin/python", "-m", "pytest", "-q", "--tb=no", "-rfE", "-n", "auto",
                   "--dist", "loadfile", *(test for test in chosen if test))  # fmt: skip
        named = failed_tests(done.stdout)
        if done.returncode not in {0, 1} or (done.returncode == 1 and not named):
            named.append(f"pytest (exit status {done.returncode}):\n{done.stdout[-2000:]}")
        found += named
    return found


def blame(failing: list[str], changed: list[tuple[str, str, str]]) -> dict[str, list[str]]:
    """Which failures each changed package causes alone, on top of the locked versions."""
    make_environment(SINGLE)
    install_locked(SINGLE)
    python = SINGLE / "bin/python"
    tests = [name for name in failing if name not in STATIC_CHECKS and "\n" not in name]
    checks = [name for name in failing if name in STATIC_CHECKS]
    broken = failures(SINGLE, tests, checks)
    causes = {"(fails with the locked versions, too)": broken} if broken else {}
    tests = [name for name in tests if name not in broken]
    checks = [name for name in checks if name not in broken]
    for name, before, after in changed:
        if not (tests or checks):
            break
        print(f"trying {name} {after} alone", flush=True)
        uv("pip", "install", "-q", "--python", python, "--no-deps", f"{name}=={after}")
        caused = failures(SINGLE, tests, checks)
        if caused:
            causes[f"{name} {before or '(absent)'} -> {after}"] = caused
        if before:
            uv("pip", "install", "-q", "--python", python, "--no-deps", f"{name}=={before}")
        else:
            uv("pip", "uninstall", "-q", "--python", python, name)
    explained = {name for caused in causes.values() for name in caused}
    rest = [name for name in failing if name not in explained]
    if rest:
        causes["(no single package; only several together)"] = rest
    return causes


def main() -> int:
    """Run all, print what broke; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tests", nargs="*", default=[""], help="pytest paths (default: all)")
    options = parser.parse_args()
    print("installing the newest versions that pyproject.toml allows", flush=True)
    make_environment(NEWEST)
    uv(
        "pip",
        "install",
        "-q",
        "--python",
        NEWEST / "bin/python",
        "--upgrade",
        "-e",
        f"{ROOT}[test]",
    )
    changed = changed_versions(locked_versions(LOCK.read_text()), installed_versions(NEWEST))
    changed = [row for row in changed if row[0] != "k8sactors"]
    print(f"{len(changed)} packages are newer than their locked version:")
    for name, before, after in changed:
        print(f"  {name:<28} {before or '(absent)':<14} -> {after}")
    print("running lint, types, contracts and tests on them", flush=True)
    failing = failures(NEWEST, options.tests, STATIC_CHECKS)
    if not failing:
        print("all passed on the newest versions")
        return 0
    print(f"{len(failing)} failed; looking for the package that broke each", flush=True)
    for cause, broken in blame(failing, changed).items():
        print(f"\n{cause} breaks:")
        for name in broken:
            print(f"  {name}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
