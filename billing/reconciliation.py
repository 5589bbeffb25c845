"""The ledger against the invoices: what of a month's tokens is invoiced, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.periods import Month
from billing.terms import USAGE_KINDS
from core.models.billing import InvoiceLine, PriceKind
from core.models.usage import UsageFact


@dataclass(frozen=True)
class Balance:
    """One kind's tokens of a month, over all tenants: in the ledger, and on invoices of any month."""

    kind: PriceKind
    recorded: int
    invoiced: int

    @property
    def left(self) -> int:
        """What the next invoices charge, or take back where it is less than 0, since facts were reversed."""
        return self.recorded - self.invoiced


def balance(session: Session, month: Month) -> Sequence[Balance]:
    """Compare the ledger with the invoices' lines for a month's usage. Wants an operator session."""
    recorded = session.execute(
        select(UsageFact.kind, func.sum(UsageFact.quantity))
        .where(UsageFact.occurred_at >= month.start, UsageFact.occurred_at < month.end)
        .group_by(UsageFact.kind)
    )
    invoiced = session.execute(
        select(InvoiceLine.kind, func.sum(InvoiceLine.quantity))
        .where(InvoiceLine.usage_month == month.days[0])
        .group_by(InvoiceLine.kind)
    )
    in_ledger = {PriceKind(kind): int(tokens) for kind, tokens in recorded}
    on_invoices = {kind: int(tokens) for kind, tokens in invoiced}
    return [Balance(kind, in_ledger.get(kind, 0), on_invoices.get(kind, 0)) for kind in USAGE_KINDS]
