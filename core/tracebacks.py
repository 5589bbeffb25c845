"""Errors as logs may tell them: where and of what type, and their words only where those can quote nobody."""

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Describe = Callable[[ExcInfo], str]

TELLING: tuple[type[BaseException], ...] = (
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    OSError,
    TypeError,
)
"""Their words speak of code and of addresses. Those of others may quote what they choked on: a text, a key."""


def describe(
    exc_info: ExcInfo,
    telling: tuple[type[BaseException], ...] = TELLING,
    quoting: tuple[type[BaseException], ...] = (),
) -> str:
    """An error and what led to it. `telling` ones are told with their words, unless they are `quoting`."""
    return "\n".join(
        "".join(traceback.format_tb(error.__traceback__))
        + _last_line(error, with_words=isinstance(error, telling) and not isinstance(error, quoting))
        for error in _chain(exc_info[1])
    )


def _last_line(error: BaseException, *, with_words: bool) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{name}: {error}" if with_words else name


def _chain(error: BaseException) -> Iterator[BaseException]:
    """What led to `error`, the first first, and `error`."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _chain(before)
    yield error


def tell_all_errors_by(tell: Describe) -> None:
    """Have the errors that libraries log, and those that nobody catches, told by `tell`, and not with their words."""

    def make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = tell(record.exc_info)  # which a formatter takes as it is
        return record

    def write(error: BaseException | None) -> None:
        if error is not None:
            print(tell((type(error), error, error.__traceback__)), file=sys.stderr, flush=True)

    logging.setLogRecordFactory(make_record)
    # What a test's runner has put in their place stays.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = lambda _type, error, _trace: write(error)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda args: write(args.exc_value)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda args: write(args.exc_value)
