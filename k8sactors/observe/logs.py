"""Structured logs on the simulation's clock.

A cluster logs warnings only, unless a program asks for more. `configure_logs` sends every line to
standard error, as text or as one JSON object, with the actor, the host and the virtual time.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, get_args

import structlog
from structlog.typing import EventDict

import k8sactors.simulation as simulation_module

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)


def _virtual_time(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event["ts"] = round(simulation_module.current().now_ns() / simulation_module.SECOND, 6)
    return event


def _as_text(_logger: Any, _method: str, event: EventDict) -> str:
    """`   12.500 warning  cp-1/etcd  lost the lead  term=4`: one line that one can grep."""
    words = [f"{event.pop('ts'):>10.3f}", f"{event.pop('level'):<7}"]
    words += [str(event.pop("actor", "-")), str(event.pop("event"))]
    event.pop("host", None)
    trace = event.pop("exception", None)
    words += [f"{key}={value!r}" for key, value in event.items()]
    return "  ".join(words) + (f"\n{trace}" if trace else "")


def _to_standard_error(*_names: Any) -> structlog.PrintLogger:
    """Looked up late: a live display on a terminal puts itself in the way of standard error."""
    return structlog.PrintLogger(sys.stderr)


def configure_logs(level: str = "warning", log_format: LogFormat = "text") -> None:
    """Choose what is logged; `level` is debug, info, warning or error.

    Raises:
        ValueError: the level is unknown.
    """
    if level not in LEVELS:
        raise ValueError(f"log level {level!r} is unknown; use {', '.join(LEVELS)}")
    number = logging.getLevelNamesMapping()[level.upper()]
    factory = structlog.PrintLoggerFactory(sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _virtual_time,
            structlog.processors.JSONRenderer(default=str) if log_format == "json" else _as_text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_to_standard_error if sys.stderr.isatty() else factory,
        cache_logger_on_first_use=False,
    )
