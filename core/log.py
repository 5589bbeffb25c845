"""Logs: one JSON line an event on standard error; in development, lines for people."""

import logging
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

import structlog
from redis import RedisError
from sqlalchemy.exc import DBAPIError

from core.config import Environment, get_settings

# Their words speak of code, addresses and constraints. Those of others may quote what they choked on: a text, a key.
_TELLING = (AttributeError, DBAPIError, ImportError, MemoryError, NameError, OSError, RedisError, TypeError)


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
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def _describe(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """An error and what led to it: where and of what type, and its message only if that can quote nobody."""
    return "\n".join(
        "".join(traceback.format_tb(error.__traceback__)) + _last_line(error) for error in _chain(exc_info[1])
    )


def _last_line(error: BaseException) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{name}: {error}" if isinstance(error, _TELLING) else name


def _chain(error: BaseException) -> Iterator[BaseException]:
    """What led to `error`, the first first, and `error`."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _chain(before)
    yield error
