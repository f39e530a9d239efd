"""Structured logs on the simulation's clock.

A cluster logs warnings only, unless a program asks for more. `configure_logs` sends every line to
standard error, as text or as one JSON object, with the actor, the host and the virtual time.
"""

import logging
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict

import k8sactors.simulation as simulation_module

LogFormat = Literal["text", "json"]


def _virtual_time(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event["ts"] = round(simulation_module.current().now_ns() / simulation_module.SECOND, 6)
    return event


def configure_logs(level: str = "warning", log_format: LogFormat = "text") -> None:
    """Choose what is logged; `level` is debug, info, warning or error.

    Raises:
        ValueError: the level is unknown.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r} is unknown; use debug, info, warning or error")
    renderer: Any = structlog.processors.JSONRenderer()
    if log_format == "text":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[structlog.processors.add_log_level, _virtual_time, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
