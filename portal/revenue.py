"""Revenue as its page shows it: a year's totals by month, plan, tenant or kind, and the documents behind one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import abort
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.revenue import Entry, Grouping, Part, Total, list_entries, totals_by
from billing.wording import KIND_TITLES
from portal.years import YearSwitch

_DRAWN_APART = 4
"""Groups that have a colour of their own in the chart; the rest share one."""

_PART_TITLES = {Part.GIVEN_CREDITS: "Credits given", Part.CREDIT_NOTE: "Credit notes"}


def kind_title(entry: Entry) -> str:
    """What an entry is for, in words."""
    return KIND_TITLES[entry.kind] if entry.kind else _PART_TITLES[entry.part]


GROUPINGS: Mapping[str, Grouping] = {
    "month": lambda entry: (str(entry.month), entry.month.title),
    "plan": lambda entry: (entry.plan_code, entry.plan),
    "tenant": lambda entry: (str(entry.tenant_id), entry.tenant),
    "kind": lambda entry: (entry.kind or entry.part, kind_title(entry)),
}


@dataclass(frozen=True)
class Chart:
    """Bars of one currency: for each series its name and the cents of each month of the year."""

    currency: str
    series: Sequence[tuple[str, Sequence[int]]]


@dataclass(frozen=True)
class Revenue:
    """A year's revenue. `entries` are those behind the group `of`, where one is chosen."""

    by: str
    of: str | None
    totals: Sequence[Total]
    sums: Sequence[Total]
    charts: Sequence[Chart]
    entries: Sequence[Entry]


def read(session: Session, years: YearSwitch, by: str, of: str | None) -> Revenue:
    """Read a year's revenue by one of `GROUPINGS`; 404 for another, and for a group that has no entry."""
    entries = read_entries(session, years, by, None)
    grouping = grouping_or_404(by)
    totals = sorted(
        totals_by(entries, grouping), key=lambda one: one.key if by == "month" else -one.revenue_cents
    )
    sums = totals_by(entries, lambda _: ("", ""))
    chosen = [entry for entry in entries if grouping(entry)[0] == of]
    if of is not None and not chosen:
        abort(404)
    charts = [_chart(years, by, one.currency, totals, entries) for one in sums]
    return Revenue(by, of, totals, sums, charts, chosen)


def read_entries(session: Session, years: YearSwitch, by: str, of: str | None) -> list[Entry]:
    """A year's entries, or those of its group `of`."""
    grouping = grouping_or_404(by)
    entries = list_entries(session, years.months[0], years.months[-1].next)
    return entries if of is None else [entry for entry in entries if grouping(entry)[0] == of]


def grouping_or_404(by: str) -> Grouping:
    if by not in GROUPINGS:
        abort(404)
    return GROUPINGS[by]


def _chart(
    years: YearSwitch, by: str, currency: str, totals: Sequence[Total], entries: Sequence[Entry]
) -> Chart:
    own = [entry for entry in entries if entry.currency == currency]
    if by == "month":
        return Chart(currency, [("Revenue", _monthly(years.months, own))])
    titles = {total.key: total.title for total in totals if total.currency == currency}
    apart = list(titles)[:_DRAWN_APART]
    grouping = GROUPINGS[by]
    series = [
        (titles[key], _monthly(years.months, [entry for entry in own if grouping(entry)[0] == key]))
        for key in apart
    ]
    rest = [entry for entry in own if grouping(entry)[0] not in apart]
    return Chart(currency, [*series, ("Others", _monthly(years.months, rest))] if rest else series)


def _monthly(months: Sequence[Month], entries: Sequence[Entry]) -> list[int]:
    cents = dict.fromkeys(months, 0)
    for entry in entries:
        cents[entry.month] += entry.amount_cents
    return list(cents.values())
