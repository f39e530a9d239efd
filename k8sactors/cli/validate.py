"""`k8sactors validate`: is a scenario right, without running it?"""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import click
from rich.console import Console

from k8sactors.api.located_yaml import Problem
from k8sactors.cli.input import BAD_INPUT, print_problems
from k8sactors.scenario.errors import BadScenarioError
from k8sactors.scenario.load import load_scenario

EXAMPLES = """
\b
Examples:
  k8sactors validate scenarios/*.yaml
  k8sactors validate --json my-scenario.yaml
"""


@click.command(epilog=EXAMPLES, short_help="Check scenarios without running them.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the mistakes as JSON.")
def validate(files: tuple[Path, ...], as_json: bool) -> None:
    """Check scenario FILES, and the manifests that they name, without running them.

    Every mistake is printed as FILE:LINE:COLUMN: KEY: what is wrong and what was expected.
    """
    problems: list[Problem] = []
    warnings: list[str] = []
    good: list[str] = []
    for file in files:
        try:
            scenario = load_scenario(file, needs_manifests=False)
        except BadScenarioError as error:
            problems += error.problems
        else:
            good.append(f"{file}: {len(scenario.file.steps)} steps, nothing wrong")
            warnings += [f"{file}: {warning}" for warning in scenario.warnings]
    if as_json:
        found = [attrs.asdict(problem) for problem in problems]
        click.echo(json.dumps({"ok": not problems, "problems": found, "warnings": warnings}))
    else:
        console = Console()
        for line in good:
            console.print(f"[green]ok[/green]  {line}", highlight=False)
        print_problems(problems, warnings)
    if problems:
        raise SystemExit(BAD_INPUT)
