"""Stripe's drafts: kept from being collected until they agree with our invoices to the cent.

A draft waits for our close of its month and for the last reports of usage. Then the items go on it that Stripe cannot
rate, and it is compared line by line: where all agree our invoice is issued and Stripe's finalised, else both are held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from billing.credits import grant_credit
from billing.invoices import lines_of, lock_invoice
from billing.issuing import issue
from billing.locks import hold_credits
from billing.money import money
from billing.periods import Month
from billing.settlement import asked_cents
from billing.stripe import mirror, outbox, reporting
from billing.stripe.client import StripeClient, StripeRefused
from billing.stripe.counting import cents_by_line, count, known_prices, prices_of
from billing.stripe.deadlines import Deadline, never
from billing.stripe.expected import ALL, Compared, Expected, Item, compare, expect
from billing.stripe.following import FINALISED_EARLY, STRIPE, hold
from billing.stripe.items import accept_difference, put_items
from billing.stripe.locks import hold_object
from billing.stripe.problems import survived
from core.clock import now
from core.db import operator_session
from core.models.billing import ClosedMonth, Collection, Invoice, InvoiceStatus
from core.models.credit_grants import CreditEntry, CreditKind
from core.models.stripe import ReportStatus, StripeCustomer, StripeInvoice, UsageReport

STILL_COUNTING = timedelta(hours=1)
"""How long after the last report Stripe's meters may not have counted it yet."""

_TICK = timedelta(microseconds=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Draft:
    """A draft as it was just fetched under its lock, and what it is about."""

    client: StripeClient
    session: Session
    row: StripeInvoice
    answer: dict[str, Any]
    at: datetime

    @property
    def path(self) -> str:
        return f"/v1/invoices/{self.row.stripe_invoice_id}"

    @property
    def month(self) -> Month:
        return Month.containing(self.row.period_end - _TICK)

    def lines(self) -> list[dict[str, Any]]:
        return list(self.client.each(f"{self.path}/lines"))

    def key(self, what: str) -> str:
        return _key(what, self.row.stripe_invoice_id, self.at)


def _key(what: str, stripe_invoice_id: str, at: datetime) -> str:
    """An idempotency key for this hour: Stripe keeps a failure under its key, too."""
    return f"{what}-{stripe_invoice_id}-{at:%Y%m%dT%H}"


def advance_all(client: StripeClient, at: datetime | None = None, *, is_over: Deadline = never) -> None:
    """Bring every draft that is not held as far as it goes now; one that fails does not keep the others.

    Those that were not looked at for longest go first, and none is begun once time `is_over`.
    """
    with operator_session("find every tenant's drafts at Stripe") as session:
        _hold_finalised(session, at or now())
        session.commit()
        ids = session.scalars(
            select(StripeInvoice.stripe_invoice_id)
            .where(StripeInvoice.status == "draft", StripeInvoice.held_at.is_(None))
            .order_by(StripeInvoice.fetched_at, StripeInvoice.stripe_invoice_id)
        ).all()
    for stripe_invoice_id in ids:
        if is_over():
            return
        with survived("stripe_draft_failed", stripe_invoice=stripe_invoice_id):
            advance(client, stripe_invoice_id, at)


def _hold_finalised(session: Session, at: datetime) -> None:
    """Hold what Stripe finalised by itself, an hour after it made the draft, while nobody here answered it."""
    rows = session.execute(
        select(StripeInvoice, Invoice)
        .join(
            Invoice,
            (Invoice.tenant_id == StripeInvoice.tenant_id) & (Invoice.period_end == StripeInvoice.period_end),
        )
        .where(
            StripeInvoice.status != "draft",
            StripeInvoice.invoice_id.is_(None),
            Invoice.status == InvoiceStatus.DRAFT,
            Invoice.collection == Collection.STRIPE,
        )
    )
    for row, invoice in rows:
        row.invoice_id = invoice.id
        hold(row, invoice, FINALISED_EARLY, at)


def advance(client: StripeClient, stripe_invoice_id: str, at: datetime | None = None) -> None:
    """Bring a draft as far as it goes now: stopped, filled, compared, finalised or held.

    Raises StripeUnavailable, after which it goes on from where it was.
    """
    at = at or now()
    if not _tell_last_usage(client, stripe_invoice_id, at):
        return
    with operator_session("compare a tenant's draft at Stripe with the ledger") as session:
        hold_object(session, stripe_invoice_id)
        answer = client.get(f"/v1/invoices/{stripe_invoice_id}")
        row = mirror.take(session, answer, at)
        if row is None or row.status != "draft" or row.held_at is not None:
            session.commit()
            return
        is_ready = _prepare(_Draft(client, session, row, answer, at))
        session.commit()
    if is_ready:
        _finalise(client, stripe_invoice_id, at)


def _tell_last_usage(client: StripeClient, stripe_invoice_id: str, at: datetime) -> bool:
    """Stop Stripe, and send it what it was not told yet of an invoiced month; False while something is on its way."""
    with operator_session("make the last usage reports of a tenant's month") as session:
        row = mirror.find_invoice(session, stripe_invoice_id)
        if row is None or row.status != "draft" or row.held_at is not None:
            return False
        _stop(client, stripe_invoice_id, at)
        month = Month.containing(row.period_end - _TICK)
        customer = _customer(session, row)
        invoice = _find_ours(session, row, month)
        if invoice is not None and invoice.status is InvoiceStatus.DRAFT:
            outbox.make_last_reports(session, customer, invoice, at)
            session.commit()
    reporting.send_due(client, at, tenant_id=customer.tenant_id)
    with operator_session("see whether a tenant's usage reports are settled") as session:
        return not outbox.has_unsettled(session, customer.tenant_id, month)


def _stop(client: StripeClient, stripe_invoice_id: str, at: datetime) -> None:
    """Keep Stripe from finalising a draft by itself, an hour after it was made."""
    path = f"/v1/invoices/{stripe_invoice_id}"
    answer = client.get(path)
    # Each change sends an event, which brings us here again.
    if answer["status"] == "draft" and answer["auto_advance"]:
        client.post(path, {"auto_advance": False}, key=_key("stop", stripe_invoice_id, at))


def _prepare(draft: _Draft) -> bool:
    """Fill and compare a draft; True where it may be finalised."""
    session, row = draft.session, draft.row
    invoice = _find_ours(session, row, draft.month)
    if invoice is None:
        return _prepare_empty(draft)
    row.invoice_id = invoice.id
    if invoice.status is not InvoiceStatus.DRAFT:
        return True  # compared before, and then Stripe was away
    expected, compared, discount = _compare(draft, invoice)
    row.comparison, row.compared_at = [line.to_json() for line in compared], draft.at
    different = [line for line in compared if line.difference_cents]
    if different:
        if not _is_still_counting(draft):
            hold(row, invoice, _complaint(expected, different, row.currency), draft.at)
        return False
    _issue(draft, invoice, discount)
    return True


def make_up(client: StripeClient, session: Session, row: StripeInvoice, reason: str, at: datetime) -> None:
    """Add to a draft what brings each line to the ledger's, as finance accepted for a reason.

    The caller holds the draft. Raises StripeUnavailable.
    """
    answer = client.get(f"/v1/invoices/{row.stripe_invoice_id}")
    draft = _Draft(client, session, row, answer, at)
    invoice = _find_ours(session, row, draft.month)
    if invoice is None:
        items = [Item(ALL, reason, -answer["total"])]
    else:
        _, compared, _ = _compare(draft, invoice)
        items = [Item(line.key, f"{line.line}: {reason}", -line.difference_cents) for line in compared]
    for item in items:
        if item.amount_cents:
            accept_difference(client, answer, item, reason, draft.key)


def _prepare_empty(draft: _Draft) -> bool:
    """A draft of a month for which Stripe collects nothing of ours: right if it asks for nothing."""
    if draft.session.get(ClosedMonth, draft.month.days[0]) is None:
        return False
    if draft.row.total_cents == 0:
        return True
    hold(draft.row, None, "Stripe asks for an amount, and the ledger has no invoice for it.", draft.at)
    return False


def _compare(draft: _Draft, invoice: Invoice) -> tuple[Expected, list[Compared], int]:
    session, row = draft.session, draft.row
    known = known_prices(session)
    counted = count(session, _customer(session, row), draft.month, prices_of(draft.lines(), known))
    expected = expect(invoice, lines_of(session, invoice), counted)
    put_items(draft.client, draft.answer, expected.items, draft.key)
    answer = draft.client.get(draft.path)
    mirror.take(session, answer, draft.at)
    discount = sum(one["amount"] for one in answer["total_discount_amounts"] or ())
    return expected, compare(expected, cents_by_line(draft.lines(), known), discount), discount


def _is_still_counting(draft: _Draft) -> bool:
    last = draft.session.scalar(
        select(func.max(UsageReport.first_sent_at)).where(
            UsageReport.tenant_id == draft.row.tenant_id,
            UsageReport.hour >= draft.month.start,
            UsageReport.hour < draft.month.end,
            UsageReport.status == ReportStatus.SENT,
        )
    )
    return last is not None and draft.at - last < STILL_COUNTING


def _complaint(expected: Expected, different: Sequence[Compared], currency: str) -> str:
    lines = [
        f"{line.line}: {money(line.ledger_cents, currency)} in the ledger, "
        f"{money(line.stripe_cents, currency)} at Stripe."
        for line in different
    ]
    return "\n".join([*expected.problems, *lines])


def _issue(draft: _Draft, invoice: Invoice, discount_cents: int) -> None:
    """Issue our invoice with Stripe's tax, and with Stripe's coupon as a credit that is drawn at once."""
    invoice = lock_invoice(draft.session, invoice.id)
    invoice.tax_cents, invoice.held_reason = draft.row.tax_cents, None
    if discount_cents:
        _draw_discount(draft, invoice, discount_cents)
    issue(draft.session, invoice, draft.at)


def _draw_discount(draft: _Draft, invoice: Invoice, cents: int) -> None:
    session, tenant_id = draft.session, invoice.tenant_id
    hold_credits(session, tenant_id)
    reference = f"{draft.row.stripe_invoice_id} discount"
    granted = grant_credit(
        session, STRIPE, tenant_id, CreditKind.PROMOTION, cents, invoice.currency, reference, at=draft.at
    )
    session.add(
        CreditEntry(
            tenant_id=tenant_id,
            grant_id=granted.id,
            invoice_id=invoice.id,
            amount_cents=-cents,
            entered_at=draft.at,
        )
    )
    invoice.credits_cents += cents
    session.flush()


def _finalise(client: StripeClient, stripe_invoice_id: str, at: datetime) -> None:
    """Let Stripe collect a draft. Finalising reads the meters once more: an amount that changed by it is held."""
    key = _key("finalise", stripe_invoice_id, at)
    params = {"auto_advance": _collects(stripe_invoice_id)}
    try:
        client.post(f"/v1/invoices/{stripe_invoice_id}/finalize", params, key=key)
    except StripeRefused as problem:
        log.warning("stripe_invoice_not_finalised", stripe_invoice=stripe_invoice_id, code=problem.code)
    mirror.fetch_invoice(client, stripe_invoice_id, at)
    with operator_session("see that Stripe asks a tenant for what our invoice does") as session:
        row = mirror.find_invoice(session, stripe_invoice_id)
        invoice = session.get(Invoice, row.invoice_id) if row and row.invoice_id else None
        if row is None or invoice is None or row.status == "draft":
            return
        ours = asked_cents(invoice) - invoice.credits_cents
        if row.total_cents != ours:
            asked, stripe = money(ours, row.currency), money(row.total_cents, row.currency)
            hold(row, invoice, f"Finalised with {stripe} at Stripe, and {asked} here.", at)
            session.commit()


def _collects(stripe_invoice_id: str) -> bool:
    """Whether the card is to be charged: not for what was paid or taken back here meanwhile."""
    with operator_session("see whether a tenant's invoice is still to be paid") as session:
        row = mirror.find_invoice(session, stripe_invoice_id)
        invoice = session.get(Invoice, row.invoice_id) if row and row.invoice_id else None
        return invoice is None or invoice.status is InvoiceStatus.OPEN


def _find_ours(session: Session, row: StripeInvoice, month: Month) -> Invoice | None:
    """Our invoice that a draft of Stripe's collects; of two drafts for a month, the first has it."""
    others = exists().where(StripeInvoice.invoice_id == Invoice.id, StripeInvoice.id != row.id)
    return session.scalar(
        select(Invoice).where(
            Invoice.tenant_id == row.tenant_id,
            Invoice.period_start == month.start,
            Invoice.collection == Collection.STRIPE,
            ~others,
        )
    )


def _customer(session: Session, row: StripeInvoice) -> StripeCustomer:
    return session.scalars(select(StripeCustomer).where(StripeCustomer.tenant_id == row.tenant_id)).one()
