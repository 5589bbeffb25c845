"""A session that sees every tenant, as closing a month has it."""

from collections.abc import Iterator

import pytest

from core.db import ScopedSession, operator_session


@pytest.fixture
def db(services: object) -> Iterator[ScopedSession]:
    """An operator session; what a test does not commit is rolled back."""
    with operator_session("test") as session:
        yield session
