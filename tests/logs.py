"""What the code under test writes to its log."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from core.log import configure_logging


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The log of the process web, as it is configured in production, from here to the end of the test."""
    before, bound = structlog.get_config(), structlog.contextvars.get_contextvars()
    make_record = logging.getLogRecordFactory()
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging("web")
    yield stream
    logging.setLogRecordFactory(make_record)
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**bound)
