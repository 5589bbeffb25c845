"""Reading the operator's list of invoices: narrowed down, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import SelectChoice

from billing.invoices import InvoiceFilter
from billing.periods import Month, first_moment_of, last_moment_of
from core.clock import now
from core.models.billing import Collection, Invoice, InvoiceStatus
from core.models.tenants import Tenant
from portal.forms.invoices import InvoiceFilterForm
from portal.invoices import HELD, OVERDUE

PAGE_SIZE = 100

Row = tuple[Invoice, Tenant]


@dataclass(frozen=True)
class InvoicePage:
    """A page of the list, and the addresses of those before and after it."""

    rows: Sequence[Row]
    summary: str
    newer: str | None
    older: str | None


@dataclass(frozen=True)
class Search:
    """What the request's query asks for: the form as it was filled in, what it means, and the page's number."""

    form: InvoiceFilterForm
    wanted: InvoiceFilter
    query: dict[str, Any]
    number: int

    @property
    def is_empty(self) -> bool:
        return self.wanted == InvoiceFilter()

    def page_of(self, found: Sequence[Row]) -> InvoicePage:
        """The page of what was found; the last one where there are not as many."""
        number = min(self.number, max(1, -(-len(found) // PAGE_SIZE)))
        first = (number - 1) * PAGE_SIZE
        rows = found[first : first + PAGE_SIZE]

        def address(to: int) -> str:
            return url_for("operator_invoices.index", **self.query, page=to)

        return InvoicePage(
            rows,
            f"{first + 1}–{first + len(rows)} of {len(found):,}",
            newer=address(number - 1) if number > 1 else None,
            older=address(number + 1) if first + PAGE_SIZE < len(found) else None,
        )


def read_request(session: Session) -> Search:
    """Read the request's query; what it asks for that is not on offer is left out. Wants an operator session."""
    form = InvoiceFilterForm(request.args)
    months = session.scalars(select(Invoice.period_start).distinct().order_by(Invoice.period_start.desc()))
    form.month.choices = [
        SelectChoice("", "Any month"),
        *(SelectChoice(str(month), month.title) for month in map(Month.containing, months)),
    ]
    number = min(max(request.args.get("page", 1, type=int), 1), 10**6)
    wanted = _filter_of(form) if form.validate() else InvoiceFilter()
    query = {field.name: field.data for field in form if field.data and not form.errors}
    return Search(form, wanted, query, number)


def _filter_of(form: InvoiceFilterForm) -> InvoiceFilter:
    status = form.status.data
    until = form.issued_until.data
    return InvoiceFilter(
        status=InvoiceStatus(status) if status and status not in (OVERDUE, HELD) else None,
        month=Month.parse(form.month.data) if form.month.data else None,
        tenant_id=UUID(form.tenant.data) if form.tenant.data else None,
        tenant_name=(form.q.data or "").strip(),
        plan_code=form.plan.data or None,
        collection=Collection(form.collection.data) if form.collection.data else None,
        issued_since=first_moment_of(form.issued_from.data) if form.issued_from.data else None,
        issued_until=last_moment_of(until) if until else None,
        overdue_at=now() if status == OVERDUE else None,
        only_held=status == HELD,
    )
