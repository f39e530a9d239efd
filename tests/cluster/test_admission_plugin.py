"""A cluster runs with an admission plugin that one file has added."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.apiserver import admission
from k8sactors.cluster import Cluster, ClusterSpec

MODULE = "k8sactors.apiserver.admission.team_labels"
FILE = '''
"""TeamLabels: every pod belongs to a team, the one of its namespace unless it names its own."""

from typing import ClassVar

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Plugin


class TeamLabels(Plugin):
    """Sets the label, and refuses teams that do not exist."""

    order: ClassVar[int] = 145
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)

    def admit(self, attributes: Attributes) -> None:
        namespace = self.cluster.get(attributes, "namespaces", None, attributes.namespace)
        team = (namespace["metadata"].get("labels") or {}).get("team", "none")
        metadata = attributes.obj["metadata"]
        metadata["labels"] = {"team": team, **(metadata.get("labels") or {})}

    def validate(self, attributes: Attributes) -> None:
        team = attributes.obj["metadata"]["labels"]["team"]
        if team == "ghosts":
            raise errors.forbidden(attributes.info, attributes.name, "there is no team ghosts")
'''
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.org/web:1}]}
"""


def test_a_plugin_from_one_file_sees_all_pods_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "team_labels.py").write_text(FILE)
    monkeypatch.setattr(admission, "__path__", [*admission.__path__, str(tmp_path)])

    async def main() -> None:
        async with Cluster(ClusterSpec(topology="single", workers=2)) as cluster:
            labels = {"metadata": {"labels": {"team": "red"}}}
            await cluster.client.patch("namespaces", "default", labels)
            await cluster.apply(WEB)
            await cluster.wait_available("deployments.apps/web")
            pods = (await cluster.client.list("pods", "default"))["items"]
            assert [pod["metadata"]["labels"]["team"] for pod in pods] == ["red"] * 3
            spec = {"containers": [{"name": "c", "image": "example.org/app:1"}]}
            pod = {"metadata": {"name": "a", "labels": {"team": "ghosts"}}, "spec": spec}
            with pytest.raises(StatusError, match="there is no team ghosts"):
                await cluster.client.create("pods", pod, "default")

    try:
        simulation.run(main, seed=1)
    finally:
        sys.modules.pop(MODULE, None)
