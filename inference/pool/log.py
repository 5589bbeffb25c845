"""Logging of the pool's processes."""

import logging
import sys

import structlog

from core.tracebacks import describe, tell_all_errors_by


def configure_logging(level: str, *, process: str) -> None:
    """Log as JSON to standard error, from `level` on; `process` is said in every line.

    Not core.log: that one reads the app's settings, secrets and all, which these processes must not hold.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(describe),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level, logging.INFO)
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    tell_all_errors_by(describe)
