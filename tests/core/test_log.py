"""Logs: one JSON line an event, which quotes nobody."""

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import DataError

TEXT = "My name is Ada Lovelace"


@pytest.fixture
def log(logged):
    """`log(error)`: the line that an error leaves in the log."""

    def log(error: BaseException) -> dict[str, Any]:
        structlog.get_logger().error("it_broke", tenant_id="t-1", exc_info=error)
        return line_of(logged)

    return log


def line_of(logged: io.StringIO) -> dict[str, Any]:
    (line,) = logged.getvalue().splitlines()
    return dict(json.loads(line))


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """`error` as whoever catches it has it."""
    try:
        raise error from cause  # noqa: TRY301
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [ValueError(TEXT), KeyError(TEXT), UnicodeError(TEXT)],
    ids=repr,
)
def test_an_error_is_told_without_its_words(log, error):
    line = log(raised(OverflowError(TEXT), raised(error)))
    assert (line["event"], line["process"], line["tenant_id"]) == ("it_broke", "web", "t-1")
    assert "test_log.py" in line["exception"]
    assert type(error).__name__ in line["exception"]
    assert "Ada" not in json.dumps(line)


def test_an_error_that_can_quote_nobody_is_told_in_full(log):
    assert "No space left" in log(raised(OSError(28, "No space left on device")))["exception"]


def test_what_led_to_an_error_is_told_before_it(log):
    told = log(raised(OSError("second"), raised(TypeError("first"))))["exception"]
    assert told.index("first") < told.index("second")


def test_an_error_that_a_library_logs_is_told_without_its_words(logged):
    handler = logging.StreamHandler(logged)
    library = logging.getLogger("somebody.elses")
    library.addHandler(handler)
    try:
        library.error("It broke", exc_info=raised(ValueError(TEXT)))
    finally:
        library.removeHandler(handler)
    assert "builtins.ValueError" in logged.getvalue()
    assert "Ada" not in logged.getvalue()


def test_an_error_of_a_value_that_the_database_could_not_read_is_told_without_it(log):
    read = DataError(None, None, ValueError(f'invalid input syntax for type uuid: "{TEXT}"'))
    assert "Ada" not in json.dumps(log(raised(read)))


def test_an_error_that_nobody_catches_is_told_without_its_words():
    program = "from core.log import configure_logging; configure_logging('web'); raise ValueError('Ada')"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stderr
    assert "builtins.ValueError" in told
    assert "Ada" not in told


def test_a_value_cannot_begin_a_line_of_its_own(logged):
    structlog.get_logger().error("refused", client_request_id='a\n{"event": "forged"}')
    assert line_of(logged)["event"] == "refused"
