"""Billing periods: calendar months in UTC, half-open, so that they part time without gap or overlap."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Self

_WRITTEN = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, order=True)
class Month:
    """One UTC calendar month, `[start, end)`."""

    year: int
    month: int

    def __post_init__(self) -> None:
        # Year 9999 is left out, because the end of its December is not a datetime.
        if not (1 <= self.month <= 12 and 1 <= self.year <= 9998):
            raise ValueError(f"There is no month {self.year:04d}-{self.month:02d}.")

    @classmethod
    def containing(cls, at: datetime) -> Self:
        """The month of an aware moment, whatever its time zone; raises ValueError for a naive one."""
        if at.tzinfo is None:
            raise ValueError("A moment needs its time zone: pass an aware datetime.")
        in_utc = at.astimezone(UTC)
        return cls(in_utc.year, in_utc.month)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "2026-11"; raises ValueError that says the form."""
        written = _WRITTEN.fullmatch(text.strip())
        if not written:
            raise ValueError(f"{text!r} is not a month: write it as YYYY-MM, for example 2026-11.")
        return cls(int(written[1]), int(written[2]))

    @property
    def start(self) -> datetime:
        """The first moment that belongs to the month."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after the month."""
        return self.next.start

    @property
    def next(self) -> "Month":
        """The month after this one."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def previous(self) -> "Month":
        """The month before this one."""
        return Month(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    @property
    def length(self) -> int:
        """How many days it has."""
        return monthrange(self.year, self.month)[1]

    @property
    def days(self) -> list[date]:
        """Every day of the month, in order."""
        return [date(self.year, self.month, number) for number in range(1, self.length + 1)]

    @property
    def title(self) -> str:
        """For people: "November 2026"."""
        return f"{self.start:%B %Y}"

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


def first_moment_of(day: date) -> datetime:
    """Where a UTC day begins."""
    return datetime.combine(day, time.min, UTC)


def last_moment_of(day: date) -> datetime:
    """The last microsecond of a UTC day, the finest that the database keeps."""
    return datetime.combine(day, time.max, UTC)
