"""What pods are said to use: the source of all metrics in a cluster whose programs are simulated.

Annotations say it, as quantities:

- `sim/usage-NAME` of a pod: what the pod uses of `cpu`, `memory`, or of any metric by that name;
  `sim/usage-NAME.CONTAINER` is one container's part, otherwise all have equal parts.
- `sim/load-NAME` of a workload (Deployment, ReplicaSet, StatefulSet ...): what its ready pods share
  equally. More pods then have less to do each, which is what autoscaling is about.
- `sim/metric-NAME` of any object: a metric that describes this object.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import quantity
from k8sactors.api.errors import QuantityError

Object = dict[str, Any]

MILLI = 1000


def usage_milli(pod: Object, name: str, container: str = "") -> int | None:
    """Thousandths of what the pod, or one of its containers, says that it uses; None: nothing."""
    containers = pod["spec"].get("containers") or ()
    whole = _annotation(pod, f"usage-{name}")
    parts = [_annotation(pod, f"usage-{name}.{each['name']}") for each in containers]
    if container:
        for each, part in zip(containers, parts, strict=True):
            if each["name"] == container:
                return part if part is not None or whole is None else whole // len(parts)
        return None
    said = [part for part in parts if part is not None]
    return sum(said) if said else whole


def load_milli(workload: Object, name: str) -> int | None:
    """Thousandths of what the ready pods of a workload share; None: it does not say."""
    return _annotation(workload, f"load-{name}")


def metric_milli(obj: Object, name: str) -> int | None:
    """Thousandths of a metric that describes an object; None: it has no such metric."""
    return _annotation(obj, f"metric-{name}")


def _annotation(obj: Object, name: str) -> int | None:
    text = (obj["metadata"].get("annotations") or {}).get(f"sim/{name}")
    if text is None:
        return None
    try:
        return int(quantity.parse(text) * MILLI)
    except QuantityError:
        return None
