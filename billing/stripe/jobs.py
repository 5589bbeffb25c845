"""What the billing worker does at Stripe: a webhook rings for its event, and the clock for whatever is due.

A job does all that is due, so that one that was lost, or rung twice, changes nothing.
"""

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from billing.stripe import drafts, inbox, outbox, pushing, reporting, subscriptions
from billing.stripe import sweep as sweeping
from billing.stripe.client import stripe_client
from billing.stripe.deadlines import within
from billing.stripe.locks import held
from billing.stripe.problems import survived
from core.clock import now
from core.config import get_settings
from core.models.stripe import StripeCustomer, StripeEvent, UsageReport
from core.queues import Queue, enqueue, enqueue_after_commit, rq_queue

_TIMEOUT_SECONDS = 600
_SWEEP_SECONDS = 3600
_TURN_SECONDS = 30
"""For what can be many: a payment's event, which waits behind it, is handled within a minute all the same."""

_HERE = "billing.stripe.jobs"


def ring_for_event(session: Session, row_id: UUID) -> None:
    """Have an event of the inbox handled once `session` has committed."""
    enqueue_after_commit(
        session, Queue.BILLING, f"{_HERE}.handle_event", str(row_id), timeout=_TIMEOUT_SECONDS
    )


def ring_if_due(session: Session) -> None:
    """Ring for events and reports whose time has come, unless the worker was rung for already."""
    due = select(exists().where(StripeEvent.due_at <= now()) | exists().where(UsageReport.due_at <= now()))
    if is_on() and session.scalar(due):
        _ring("run_due")


def ring_for_invoices(session: Session) -> None:
    """Ring for drafts to be compared, and for what was done to invoices here."""
    if is_on() and session.scalar(select(exists().where(StripeCustomer.id.is_not(None)))):
        _ring("run_invoices")


def ring_for_sweep() -> None:
    """Ring for the nightly sweep."""
    if is_on():
        enqueue(Queue.BILLING, f"{_HERE}.sweep", timeout=_SWEEP_SECONDS)


def make_reports(session: Session) -> None:
    """Put into the outbox what Stripe has not been told yet. The caller commits."""
    if is_on():
        outbox.make_reports(session)


def is_on() -> bool:
    """Whether this deployment collects through Stripe."""
    return bool(get_settings().stripe_secret_key)


def _ring(job: str) -> None:
    if rq_queue(Queue.BILLING).is_empty():
        enqueue(Queue.BILLING, f"{_HERE}.{job}", timeout=_TIMEOUT_SECONDS)


def handle_event(row_id: str) -> None:
    """Job: handle one event of the inbox."""
    client = stripe_client()
    if client is not None:
        inbox.handle(client, UUID(row_id))


def run_due() -> None:
    """Job: handle the events and send the reports that are due."""
    client = stripe_client()
    if client is not None:
        inbox.handle_due(client)
        reporting.send_due(client, is_over=within(_TURN_SECONDS))


def run_invoices() -> None:
    """Job: compare drafts, finalise or hold them, and bring Stripe's invoices and subscriptions to where ours are."""
    client = stripe_client()
    if client is None:
        return
    with held("invoices") as is_held:
        if is_held:
            subscriptions.start_missing(client)
            drafts.advance_all(client, is_over=within(_TURN_SECONDS))
            pushing.push_all(client)
            subscriptions.align_all(client)


def sweep() -> None:
    """Job: look for what no event told of."""
    client = stripe_client()
    if client is not None:
        with survived("stripe_not_swept"):
            sweeping.sweep(client)
