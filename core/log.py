"""Logs: one JSON line an event on standard error; in development, lines for people."""

import logging
import sys

import structlog

from core.config import Environment, get_settings


def configure_logging(process: str) -> None:
    """Set this process's logging up. `process` (web, api, worker, clock) is on every line.

    Log ids, counts and durations; never a text, a key, a password or an e-mail address.
    """
    settings = get_settings()
    human = settings.environment is Environment.DEVELOPMENT and sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
