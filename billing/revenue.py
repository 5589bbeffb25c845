"""Revenue from the documents: issued invoices' lines, less the credits given away that they drew and credit notes.

A line counts in the month of its invoice, a credit note in the month in which it was issued; both without tax. Over all
months it is what the journal has on its revenue accounts, `given_credits` and `credit_notes`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from billing.credits import PAID_FOR
from billing.csv_export import to_csv
from billing.periods import Month
from billing.settlement import tax_share
from core.models.billing import Invoice, InvoiceLine, InvoiceStatus, Plan, PriceKind
from core.models.credit_grants import CreditEntry, CreditGrant
from core.models.payments import CreditNote
from core.models.tenants import Tenant

_NO_REVENUE = (InvoiceStatus.DRAFT, InvoiceStatus.VOID)

_HEAD = (
    Invoice.period_start,
    Invoice.id,
    Invoice.number,
    Invoice.tenant_id,
    Tenant.name.label("tenant"),
    Invoice.plan_code,
    Plan.name.label("plan"),
    Invoice.currency,
)
"""What the entries of an invoice share."""


class Part(StrEnum):
    """What an entry is: an invoice's lines, credits given away that it drew, or a credit note."""

    LINES = "lines"
    GIVEN_CREDITS = "given_credits"
    CREDIT_NOTE = "credit_note"


@dataclass(frozen=True)
class Entry:
    """One document's part in revenue, in cents; `kind` is of lines alone. Credits and notes are negative."""

    month: Month
    part: Part
    kind: PriceKind | None
    invoice_id: UUID
    document: str
    tenant_id: UUID
    tenant: str
    plan_code: str
    plan: str
    currency: str
    amount_cents: int


@dataclass(frozen=True)
class Total:
    """The entries of one group in one currency, summed in cents."""

    key: str
    title: str
    currency: str
    lines_cents: int
    given_cents: int
    noted_cents: int

    @property
    def revenue_cents(self) -> int:
        return self.lines_cents + self.given_cents + self.noted_cents


Grouping = Callable[[Entry], tuple[str, str]]
"""The key and the title of the group that an entry belongs to."""


def list_entries(session: Session, start: Month, end: Month) -> list[Entry]:
    """The entries of the months `[start, end)`, the oldest first. Wants an operator session."""
    entries = [
        *_lines(session, start, end),
        *_given_credits(session, start, end),
        *_credit_notes(session, start, end),
    ]
    return sorted(entries, key=lambda one: (one.month, one.document, one.part, one.kind or ""))


def totals_by(entries: Iterable[Entry], grouping: Grouping) -> list[Total]:
    """A total for each group and currency, in the order in which the groups first come."""
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        key, _ = grouping(entry)
        groups[key, entry.currency].append(entry)
    return [_total(*grouping(group[0]), group) for group in groups.values()]


def _total(key: str, title: str, entries: Sequence[Entry]) -> Total:
    def sum_of(part: Part) -> int:
        return sum(entry.amount_cents for entry in entries if entry.part is part)

    return Total(
        key,
        title,
        entries[0].currency,
        sum_of(Part.LINES),
        sum_of(Part.GIVEN_CREDITS),
        sum_of(Part.CREDIT_NOTE),
    )


def entries_csv(entries: Iterable[Entry]) -> str:
    """Entries as CSV, one a row: what totals are the sums of. Amounts in cents."""
    header = ("month", "part", "kind", "document", "tenant", "tenant_id", "plan", "currency", "amount_cents")
    rows = (
        (
            str(one.month),
            one.part.value,
            one.kind.value if one.kind else "",
            one.document,
            one.tenant,
            str(one.tenant_id),
            one.plan_code,
            one.currency,
            one.amount_cents,
        )
        for one in entries
    )
    return to_csv(header, rows)


def totals_csv(name: str, totals: Iterable[Total]) -> str:
    """Totals as CSV, one a row; `name` is what they are by. Amounts in cents."""
    header = (
        name,
        "title",
        "currency",
        "lines_cents",
        "given_credits_cents",
        "credit_notes_cents",
        "revenue_cents",
    )
    rows = (
        (
            one.key,
            one.title,
            one.currency,
            one.lines_cents,
            one.given_cents,
            one.noted_cents,
            one.revenue_cents,
        )
        for one in totals
    )
    return to_csv(header, rows)


def _lines(session: Session, start: Month, end: Month) -> Iterator[Entry]:
    rows = session.execute(
        select(*_HEAD, InvoiceLine.kind, func.sum(InvoiceLine.amount_cents).label("cents"))
        .join(Tenant, Tenant.id == Invoice.tenant_id)
        .join(Plan, Plan.code == Invoice.plan_code)
        .join(
            InvoiceLine,
            (InvoiceLine.tenant_id == Invoice.tenant_id) & (InvoiceLine.invoice_id == Invoice.id),
        )
        .where(*_issued(start, end))
        .group_by(Invoice.id, Tenant.name, Plan.name, InvoiceLine.kind)
    )
    for row in rows:
        yield _entry(row, Part.LINES, row.kind)


def _given_credits(session: Session, start: Month, end: Month) -> Iterator[Entry]:
    rows = session.execute(
        select(*_HEAD, func.sum(CreditEntry.amount_cents).label("cents"))
        .join(Tenant, Tenant.id == Invoice.tenant_id)
        .join(Plan, Plan.code == Invoice.plan_code)
        .join(CreditEntry, CreditEntry.invoice_id == Invoice.id)
        .join(CreditGrant, CreditGrant.id == CreditEntry.grant_id)
        .where(*_issued(start, end), CreditGrant.kind.not_in(PAID_FOR))
        .group_by(Invoice.id, Tenant.name, Plan.name)
    )
    for row in rows:
        yield _entry(row, Part.GIVEN_CREDITS)


def _entry(row: Any, part: Part, kind: PriceKind | None = None) -> Entry:
    """The entry of a row that has `_HEAD` and the cents."""
    return Entry(
        _month_of(row.period_start),
        part,
        kind,
        row.id,
        row.number,
        row.tenant_id,
        row.tenant,
        row.plan_code,
        row.plan,
        row.currency,
        int(row.cents),
    )


@lru_cache(maxsize=1000)
def _month_of(starts_at: datetime) -> Month:
    """The month of an invoice's period; of the thousands of invoices there are few."""
    return Month.containing(starts_at)


def _issued(start: Month, end: Month) -> tuple[ColumnElement[bool], ...]:
    return (
        Invoice.status.not_in(_NO_REVENUE),
        Invoice.period_start >= start.start,
        Invoice.period_start < end.start,
    )


def _credit_notes(session: Session, start: Month, end: Month) -> Iterator[Entry]:
    for note, invoice, tenant, plan, noted in _noted(session, start.start, end.start):
        tax = tax_share(invoice, noted) - tax_share(invoice, noted - note.amount_cents)
        yield Entry(
            Month.containing(note.issued_at),
            Part.CREDIT_NOTE,
            None,
            invoice.id,
            note.number,
            invoice.tenant_id,
            tenant,
            invoice.plan_code,
            plan,
            note.currency,
            tax - note.amount_cents,
        )


def _noted(
    session: Session, start: datetime, end: datetime
) -> Iterator[tuple[CreditNote, Invoice, str, str, int]]:
    """Credit notes with what those of the same invoice came to with each, which its part of the tax follows from."""
    so_far = func.sum(CreditNote.amount_cents).over(
        partition_by=CreditNote.invoice_id, order_by=CreditNote.number, rows=(None, 0)
    )
    running = select(CreditNote.id, so_far.label("noted")).subquery()
    rows = session.execute(
        select(CreditNote, Invoice, Tenant.name, Plan.name, running.c.noted)
        .join(running, running.c.id == CreditNote.id)
        .join(Invoice, Invoice.id == CreditNote.invoice_id)
        .join(Tenant, Tenant.id == Invoice.tenant_id)
        .join(Plan, Plan.code == Invoice.plan_code)
        .where(CreditNote.issued_at >= start, CreditNote.issued_at < end)
    )
    for note, invoice, tenant, plan, noted in rows:
        yield note, invoice, tenant, plan, int(noted)
