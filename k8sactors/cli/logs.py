"""Where log lines go during a command: to standard error, and only those that need a person."""

import logging
import sys

import structlog


def configure_logs(level: int = logging.ERROR) -> None:
    """Keep standard output for reports and JSON; a run's own report tells of its warnings."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
