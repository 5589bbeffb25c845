"""Logs: one JSON line an event, which quotes nobody."""

import io
import json
from typing import Any

import pytest
import structlog

from core.log import configure_logging

TEXT = "My name is Ada Lovelace"


@pytest.fixture
def written(monkeypatch):
    """What the process web writes to its log."""
    before, bound = structlog.get_config(), structlog.contextvars.get_contextvars()
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging("web")
    yield stream
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**bound)


@pytest.fixture
def log(written):
    """`log(error)`: the line that an error leaves in the log."""

    def log(error: BaseException) -> dict[str, Any]:
        structlog.get_logger().error("it_broke", tenant_id="t-1", exc_info=error)
        return line_of(written)

    return log


def line_of(written: io.StringIO) -> dict[str, Any]:
    (line,) = written.getvalue().splitlines()
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


def test_a_value_cannot_begin_a_line_of_its_own(written):
    structlog.get_logger().error("refused", client_request_id='a\n{"event": "forged"}')
    assert line_of(written)["event"] == "refused"
