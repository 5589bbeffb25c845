"""A month as the operator closes it: what would be invoiced, what was, and whether the books agree."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from billing.bills import Bill
from billing.close import MonthState, month_state, preview
from billing.invoices import InvoiceFilter, InvoiceTotals, list_all_invoices, totals
from billing.periods import Month
from billing.reconciliation import Balance, balance
from core.clock import now
from core.models.billing import Invoice, PriceKind
from core.models.tenants import Tenant


@dataclass(frozen=True)
class Draft:
    """What one tenant would be invoiced, in cents: by kind, and what is left of earlier months."""

    tenant: Tenant
    bill: Bill

    def cents_of(self, kind: PriceKind) -> int:
        return sum(line.amount_cents for line in self.bill.lines if line.kind == kind and not line.late)

    @property
    def late_cents(self) -> int:
        return sum(line.amount_cents for line in self.bill.lines if line.late)


@dataclass(frozen=True)
class MonthOverview:
    """A month with its drafts, its invoices and its balance. `draft_cents` is by currency."""

    state: MonthState
    running: Month
    drafts: Sequence[Draft]
    draft_cents: dict[str, int]
    invoices: Sequence[tuple[Invoice, Tenant]]
    totals: Sequence[InvoiceTotals]
    balances: Sequence[Balance]

    @property
    def month(self) -> Month:
        return self.state.month

    @property
    def is_running(self) -> bool:
        return self.month == self.running

    @property
    def may_close(self) -> bool:
        """Whether it is this month's turn."""
        return self.month < self.running and self.month == self.state.next_to_close


def overview_of(session: Session, month: Month) -> MonthOverview:
    """Read a month; nothing is written. Wants an operator session."""
    state = month_state(session, month)
    drafts = [] if state.is_closed else [Draft(one.tenant, one.bill) for one in preview(session, month)]
    draft_cents: dict[str, int] = {}
    for draft in drafts:
        currency = draft.bill.currency
        draft_cents[currency] = draft_cents.get(currency, 0) + draft.bill.total_cents
    made = list_all_invoices(session, InvoiceFilter(month=month))
    return MonthOverview(
        state,
        Month.containing(now()),
        drafts,
        draft_cents,
        made,
        totals(session, [invoice for invoice, _ in made]),
        balance(session, month),
    )
