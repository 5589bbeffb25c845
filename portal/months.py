"""The month that a page shows: from its address, with the way to those before and after it."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import abort

from billing.periods import Month


@dataclass(frozen=True)
class MonthSwitch:
    """The month shown, and the addresses of its neighbours; None where there is nothing to see."""

    month: Month
    older: str | None
    newer: str | None


def month_or_404(text: str | None, default: Month) -> Month:
    """The month of an address, or `default` where it names none; 404 for what is no month."""
    if not text:
        return default
    try:
        return Month.parse(text)
    except ValueError:
        abort(404)


def switch(month: Month, first: Month, last: Month, address: Callable[[Month], str]) -> MonthSwitch:
    """The ways from `month` to its neighbours, as far as they lie from `first` to `last`."""
    return MonthSwitch(
        month,
        older=address(month.previous) if month > first else None,
        newer=address(month.next) if month < last else None,
    )
