"""What was done to our invoices here, done to Stripe's: paid by bank transfer, credited, void, given up."""

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select

from billing.stripe import mirror
from billing.stripe.client import StripeClient, StripeRefused
from billing.stripe.problems import survived
from core.clock import now
from core.db import operator_session
from core.models.billing import Invoice, InvoiceStatus
from core.models.payments import CreditNote
from core.models.stripe import StripeInvoice

_NUMBER = "adaptary_number"

_ACTIONS: dict[tuple[InvoiceStatus, str], tuple[str, dict[str, Any]]] = {
    (InvoiceStatus.PAID, "open"): ("pay", {"paid_out_of_band": True}),
    (InvoiceStatus.PAID, "uncollectible"): ("pay", {"paid_out_of_band": True}),
    (InvoiceStatus.VOID, "open"): ("void", {}),
    (InvoiceStatus.VOID, "uncollectible"): ("void", {}),
    (InvoiceStatus.UNCOLLECTIBLE, "open"): ("mark_uncollectible", {}),
}
"""By the status of ours and of Stripe's: what is to be done there, and with which parameters."""

log = structlog.get_logger(__name__)


def push_all(client: StripeClient, at: datetime | None = None) -> None:
    """Bring Stripe's invoices to where ours are; one that fails does not keep the others."""
    at = at or now()
    for note_id in _unpushed_notes():
        with survived("credit_note_not_at_stripe", credit_note=str(note_id)):
            _push_note(client, note_id, at)
    waiting = select(CreditNote.invoice_id).where(CreditNote.stripe_credit_note_id.is_(None))
    with operator_session("find every tenant's invoices that changed here and not at Stripe") as session:
        rows = session.execute(
            select(StripeInvoice.stripe_invoice_id, Invoice.status, StripeInvoice.status)
            .join(Invoice, Invoice.id == StripeInvoice.invoice_id)
            .where(StripeInvoice.status.in_(("open", "uncollectible")), Invoice.id.not_in(waiting))
        ).all()
    for stripe_invoice_id, ours, stripes in rows:
        if (ours, stripes) in _ACTIONS:
            with survived("stripe_invoice_not_changed", stripe_invoice=stripe_invoice_id):
                _push_status(client, stripe_invoice_id, *_ACTIONS[ours, stripes], at)


def _push_status(
    client: StripeClient, stripe_invoice_id: str, action: str, params: dict[str, Any], at: datetime
) -> None:
    key = f"{action}-{stripe_invoice_id}-{at:%Y%m%dT%H}"
    try:
        client.post(f"/v1/invoices/{stripe_invoice_id}/{action}", params, key=key)
    except StripeRefused as problem:
        # It may have come there by itself: what it says now decides.
        log.warning("stripe_invoice_not_changed", stripe_invoice=stripe_invoice_id, code=problem.code)
    mirror.fetch_invoice(client, stripe_invoice_id, at)


def _unpushed_notes() -> list[UUID]:
    with operator_session("find every tenant's credit notes that Stripe does not have") as session:
        return list(
            session.scalars(
                select(CreditNote.id)
                .join(StripeInvoice, StripeInvoice.invoice_id == CreditNote.invoice_id)
                .where(CreditNote.stripe_credit_note_id.is_(None), StripeInvoice.status.in_(("open", "paid")))
                .order_by(CreditNote.number)
            )
        )


def _push_note(client: StripeClient, note_id: UUID, at: datetime) -> None:
    with operator_session("give Stripe a tenant's credit note") as session:
        note = session.scalars(select(CreditNote).where(CreditNote.id == note_id).with_for_update()).one()
        row = mirror.find_invoice_of(session, note.invoice_id)
        if row is None or note.stripe_credit_note_id is not None:
            return
        note.stripe_credit_note_id = _find_note(client, row, note) or _make_note(client, row, note, at)
        session.commit()
    mirror.fetch_invoice(client, row.stripe_invoice_id, at)


def _find_note(client: StripeClient, row: StripeInvoice, note: CreditNote) -> str | None:
    """What an attempt made whose answer was lost."""
    listed = client.each("/v1/credit_notes", {"invoice": row.stripe_invoice_id})
    return next((one["id"] for one in listed if one["metadata"].get(_NUMBER) == note.number), None)


def _make_note(client: StripeClient, row: StripeInvoice, note: CreditNote, at: datetime) -> str:
    amounts: dict[str, int] = {"amount": note.due_cents}
    if row.status == "paid":
        # What became credit is ours to give: Stripe is told that it was given outside.
        amounts = {"amount": note.amount_cents, "refund_amount": note.refund_cents}
        amounts["out_of_band_amount"] = note.amount_cents - note.refund_cents
    params = {
        "invoice": row.stripe_invoice_id,
        "memo": f"{note.number}: {note.reason}",
        "metadata": {_NUMBER: note.number},
        **{name: cents for name, cents in amounts.items() if cents},
    }
    key = f"credit-note-{note.id}-{at:%Y%m%dT%H}"
    return str(client.post("/v1/credit_notes", params, key=key)["id"])
