"""A whole scenario file, format version 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import click

from k8sactors.cluster.spec import ClusterSpec
from k8sactors.scenario.binding import Choice, Flag, Integer, ListOf, Schema, Struct, Text, setting
from k8sactors.scenario.chaos_section import ChaosSection
from k8sactors.scenario.cluster_section import ClusterSection
from k8sactors.scenario.parsed import Step
from k8sactors.scenario.vocabulary import STEP

API_VERSION = "k8sactors/v1"
SCHEMA_URI = "https://json-schema.org/draft/2020-12/schema"


@attrs.define
class ScenarioFile:
    """A scenario: a cluster, and what happens to it."""

    api_version: str = setting(Choice((API_VERSION,)), "the version of this format")
    name: str = setting(
        Text("a name of small letters, digits and -", r"[a-z0-9][-a-z0-9]*"), "a short name"
    )
    description: str = setting(Text(), "what it shows, for a reader")
    steps: list[Step] = setting(ListOf(STEP), "what happens, in order")
    covers: list[str] = setting(
        ListOf(Text("a row of the inventory, as in AP-09", r"[A-Z]{2,3}-\d\d+"), 0),
        "rows of the inventory whose check is asserted here",
        default=[],
    )
    seed: int = setting(Integer(), "decides all chance; --seed replaces it", default=0)
    cluster: ClusterSection = setting(
        Struct(ClusterSection), "the cluster to build", default=attrs.Factory(ClusterSection)
    )
    measure: bool = setting(
        Flag(),
        "measure in virtual time how long writes and reconciliation were unavailable",
        default=False,
    )
    settles: bool = setting(
        Flag(),
        "after the last step everything converges; false for a scenario that ends broken",
        default=True,
    )
    chaos: ChaosSection = setting(
        Struct(ChaosSection),
        "what `k8sactors chaos` does after the steps; a plain run leaves it out",
        default=attrs.Factory(ChaosSection),
    )


@attrs.define
class Scenario:
    """A scenario that is ready to run: read, completed and checked."""

    # What was read.
    file: ScenarioFile
    # Where from.
    source: Path
    # With all counts filled in.
    cluster: ClusterSpec
    # The file's or the command line's.
    seed: int
    # The objects of each file that an apply step names.
    manifests: dict[str, list[dict[str, Any]]] = attrs.field(factory=dict)
    # The objects given on the command line.
    extra: list[dict[str, Any]] = attrs.field(factory=list)
    # About what is allowed but unwise.
    warnings: list[str] = attrs.field(factory=list)

    @property
    def name(self) -> str:
        """The short name."""
        return self.file.name


def json_schema() -> Schema:
    """The JSON Schema of scenario files, as published in docs/scenario.schema.json."""
    definitions: dict[str, Schema] = {}
    root = Struct(ScenarioFile).schema(definitions)
    return {
        "$schema": SCHEMA_URI,
        "title": f"k8sactors scenario ({API_VERSION})",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


if __name__ == "__main__":
    click.echo(json.dumps(json_schema(), indent=2))
