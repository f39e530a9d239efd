from __future__ import annotations

import re
from pathlib import Path

from k8sactors.api import definitions
from k8sactors.api.release import DEFAULT_RELEASE, minor_version
from k8sactors.gateway import discovery
from k8sactors.kubelet.node_object import KUBELET_VERSION

PRODUCT = Path(__file__).parents[2] / "k8sactors"


def test_version_kubelets_and_schemas_follow_the_one_release() -> None:
    major, minor = minor_version()
    version = discovery.version()
    assert (version["major"], version["minor"]) == (major, minor)
    assert f"v{DEFAULT_RELEASE}" == version["gitVersion"].partition("+")[0]
    assert f"v{DEFAULT_RELEASE}" == KUBELET_VERSION
    assert definitions.definition("v1", "Pod")["properties"]["spec"]


def test_no_other_module_states_a_release() -> None:
    stating = re.compile(r"""["']v?1\.[2-9]\d(\.\d+)?["']""")
    found = [
        f"{path.relative_to(PRODUCT)}:{number}: {line.strip()}"
        for path in sorted(PRODUCT.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if stating.search(line) and path.name != "release.py"
    ]
    assert not found, "\n".join(found)
