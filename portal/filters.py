"""How numbers, times and sizes read in templates."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from flask import Flask

from billing.money import money
from core.clock import now

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def number(value: float) -> str:
    """A count with thousands set apart: 1234567 → 1,234,567."""
    return f"{value:,}".replace("-", "−")


def percent(share: float, digits: int = 1) -> str:
    """A share of one: 0.9542 → 95.4 %."""
    return f"{share * 100:.{digits}f} %"


def date_and_time(at: datetime | None) -> str:
    """A moment, in UTC: 24 Nov 2026, 09:15 UTC."""
    return "–" if at is None else f"{at:%-d %b %Y, %H:%M} UTC"


def date(at: datetime | None) -> str:
    return "–" if at is None else f"{at:%-d %b %Y}"


def duration(seconds: float | timedelta | None) -> str:
    """A span in its two largest units: 3725 → 1 h 2 min."""
    if seconds is None:
        return "–"
    left = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    parts = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def ago(at: datetime | None) -> str:
    """How long since `at`: 5 min ago."""
    if at is None:
        return "never"
    seconds = (now() - at).total_seconds()
    if seconds < 45:
        return "just now"
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def filesize(size: int) -> str:
    """Bytes in the unit that suits: 1536 → 1.5 KB."""
    value = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1024 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def whole_units(cents: Iterable[int]) -> list[float]:
    """Amounts for a chart to draw, and for nothing else: [1250] → [12.5]."""
    return [amount / 100 for amount in cents]


def init_app(app: Flask) -> None:
    """Give templates the filters."""
    app.jinja_env.filters.update(
        money=money,
        number=number,
        percent=percent,
        datetime=date_and_time,
        date=date,
        duration=duration,
        ago=ago,
        filesize=filesize,
        whole_units=whole_units,
    )
