"""What one server tells of itself: metrics, its flow control, how its tokens are verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from k8sactors.apiserver import feature_gates as features
from k8sactors.apiserver.authn.service_account import CONFIGURATION_PATH, JWKS_PATH, Tokens
from k8sactors.apiserver.priority_and_fairness import metrics as flow_metrics
from k8sactors.apiserver.priority_and_fairness.dumps import Dumps
from k8sactors.apiserver.priority_and_fairness.flow_control import PriorityAndFairness

# A content type, and the data.
Page = tuple[str, bytes]

_PORT: Final = 6443
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN: Final = "text/plain; charset=utf-8"
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def pages(
    metrics: Callable[[], Mapping[str, Any]],
    tokens: Tokens,
    address: str,
    flow: PriorityAndFairness | None,
    wall_offset_ns: Callable[[], int],
    feature_gates: Mapping[str, str],
) -> dict[str, Callable[[], Page]]:
    """What makes each page, by its path; `wall_offset_ns` leads from the clock to the wall's."""

    def configuration() -> Page:
        return "application/json", _json(tokens.configuration(f"https://{address}:{_PORT}"))

    def measured() -> Page:
        text = exposition(metrics())
        if flow is not None:
            text += "\n".join(flow_metrics.exposition(flow)) + "\n"
        text += "\n".join(features.exposition(feature_gates)) + "\n"
        return _TEXT, text.encode()

    dumps = {} if flow is None else Dumps(flow, wall_offset_ns).pages()
    return {
        **{path: partial(_plain, make) for path, make in dumps.items()},
        "/metrics": measured,
        CONFIGURATION_PATH: configuration,
        JWKS_PATH: lambda: ("application/jwk-set+json", _json(tokens.key_set())),
    }


def _plain(make: Callable[[], str]) -> Page:
    return _PLAIN, make().encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def exposition(metrics: Mapping[str, Any]) -> str:
    """Metrics in Prometheus' text format; the names of counted requests are the real server's."""
    lines = ["# TYPE apiserver_request_total counter"]
    for (verb, resource, code), count in metrics["requests"].items():
        labels = {"verb": verb.upper(), "resource": resource, "code": str(code)}
        shown = ",".join(f'{name}="{text.translate(_ESCAPED)}"' for name, text in labels.items())
        lines.append(f"apiserver_request_total{{{shown}}} {count}")
    for name, value in metrics.items():
        if isinstance(value, int):
            lines += [f"# TYPE k8sactors_apiserver_{name} gauge"]
            lines += [f"k8sactors_apiserver_{name} {value}"]
    return "\n".join(lines) + "\n"
