"""The calendar year that a page shows: from its address, with the way to those before and after it."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import abort

from billing.periods import Month


@dataclass(frozen=True)
class YearSwitch:
    """The year shown, and the addresses of its neighbours; None where there is nothing to see."""

    year: int
    older: str | None
    newer: str | None

    @property
    def months(self) -> list[Month]:
        return [Month(self.year, number) for number in range(1, 13)]


def read_year(text: str | None, first: Month, running: Month, address: Callable[[int], str]) -> YearSwitch:
    """The year of an address, the running one where it names none; 404 for what is no year from `first` to `running`."""
    if not text:
        year = running.year
    elif text.isascii() and text.isdigit() and len(text) == 4:
        year = int(text)
    else:
        abort(404)
    if not min(first, running).year <= year <= running.year:
        abort(404)
    return YearSwitch(
        year,
        older=address(year - 1) if year > first.year else None,
        newer=address(year + 1) if year < running.year else None,
    )
