"""Logs: one JSON line an event on standard error; in development, lines for people."""

import logging
import sys

import structlog
from redis import RedisError
from sqlalchemy.exc import DataError, DBAPIError

from core.config import Environment, get_settings
from core.tracebacks import TELLING, ExcInfo, describe, tell_all_errors_by


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
            structlog.processors.ExceptionRenderer(_describe),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    tell_all_errors_by(_describe)


def _describe(exc_info: ExcInfo) -> str:
    """An error and what led to it, also in the words of the database and of Redis, which speak of constraints and
    addresses: but for those of a value that the database could not read, which quote it."""
    return describe(exc_info, (*TELLING, DBAPIError, RedisError), quoting=(DataError,))
