"""Stripe's times: whole seconds, in UTC."""

from datetime import UTC, datetime


def moment(seconds: int) -> datetime:
    """A time of Stripe's."""
    return datetime.fromtimestamp(seconds, UTC)


def find_moment(seconds: int | None) -> datetime | None:
    """A time of Stripe's that may be empty."""
    return None if seconds is None else moment(seconds)
