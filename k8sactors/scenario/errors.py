"""What can go wrong with a scenario.

ScenarioError
+-- BadScenarioError   the file, or a manifest that it names, is wrong: nothing was started
+-- StepError          a step could not be carried out: the run continues to its report
"""

from __future__ import annotations

from k8sactors.api.located_yaml import Problem


class ScenarioError(Exception):
    """Any error of this package."""


class BadScenarioError(ScenarioError):
    """The input is wrong.

    Attributes:
        problems: every mistake found, in order of appearance.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class StepError(ScenarioError):
    """A step cannot be carried out in the cluster as it is now."""
