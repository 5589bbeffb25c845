"""What the clock calls: one short function per periodic task, each in a session of its own."""

from billing import alerts, counters, notifications, reservations, standing
from billing.close import close_due
from billing.credits import expire_credits
from billing.stripe import jobs as stripe_jobs
from core.clock import now
from core.db import operator_session, tenant_session
from inference.gateway import kept_answers
from inference.gateway.batches import asked, webhooks
from portal import account_mail, destruction, exports, retention
from training import requests
from training.data.datasets import requeue_lost
from training.scheduler import reconcile


def reconcile_jobs() -> None:
    """Give fine-tune jobs whose worker died to another, and ring for those that wait."""
    with operator_session("find every tenant's fine-tune jobs that lost their worker") as session:
        reconcile(session)
        session.commit()


def requeue_datasets() -> None:
    """Start again the dataset checks and imports whose worker died."""
    with operator_session("find every tenant's datasets that lost their worker") as session:
        requeue_lost(session)
        session.commit()


def requeue_fine_tune_requests() -> None:
    """Go on with the fine-tunes that were asked for over the API and that no worker is at."""
    with operator_session("find every tenant's fine-tune requests that lost their worker") as session:
        requests.requeue_lost(session)
        session.commit()


def requeue_batches() -> None:
    """Go on with the batches whose worker died, or that found the models away; tell again who was not reached."""
    with operator_session("find every tenant's batches that lost their worker") as session:
        asked.requeue_lost(session)
        webhooks.requeue_due(session)
        session.commit()


def close_month() -> None:
    """Make the invoices of months that have ended, and end the credits that have expired."""
    with operator_session("invoice every tenant") as session:
        close_due(session)
        expire_credits(session)  # which the invoices of the month that is over still drew
        session.commit()


def report_usage() -> None:
    """Put into the outbox what Stripe has not been told yet."""
    with operator_session("report every tenant's usage to Stripe") as session:
        stripe_jobs.make_reports(session)
        session.commit()


def ring_for_stripe() -> None:
    """Go on with Stripe's events, and with usage reports, whose worker died or found Stripe away."""
    with operator_session("see what is due of every tenant's at Stripe") as session:
        stripe_jobs.ring_if_due(session)


def ring_for_stripe_invoices() -> None:
    """Compare Stripe's drafts with the ledger, and bring its invoices to where ours are."""
    with operator_session("see whether Stripe collects from any tenant") as session:
        stripe_jobs.ring_for_invoices(session)


def sweep_stripe() -> None:
    """Look at Stripe for what no event told of."""
    stripe_jobs.ring_for_sweep()


def watch_budgets() -> None:
    """Tell of budgets that are spent in part, and forget what counts against none any more."""
    with operator_session("watch every tenant's budgets") as session:
        alerts.raise_all_due(session)
        reservations.delete_expired(session)
        counters.delete_old(session, now())
        session.commit()


def refresh_standing() -> None:
    """Suspend tenants whose days of grace are over, and reinstate those that have paid."""
    with operator_session("find every tenant whose payment is missing") as session:
        standing.refresh_due(session)


def deliver_notifications() -> None:
    """Send again what tenants' people and systems were not reached with."""
    with operator_session("find every tenant's notifications that are due") as session:
        notifications.requeue_due(session)
        session.commit()


def delete_kept_answers() -> None:
    """Forget what requests with an Idempotency-Key were answered more than a day ago."""
    with operator_session("delete every tenant's expired answers") as session:
        kept_answers.delete_expired(session)
        session.commit()


def destroy_tenants() -> None:
    """Destroy the tenants whose days of grace are over, each for itself."""
    with operator_session("find every tenant that is due to be destroyed") as session:
        due = destruction.list_due(session)
    for tenant_id in due:
        with operator_session("destroy a tenant, whose last rows it cannot see itself") as session:
            destruction.destroy(session, tenant_id)


def enforce_retention() -> None:
    """Delete what tenants' rules no longer keep."""
    with operator_session("find every tenant that has data deleted by itself") as session:
        tenant_ids = retention.list_tenants(session)
    for tenant_id in tenant_ids:
        scope = retention.clock_scope(tenant_id)
        with tenant_session(scope) as session:
            retention.enforce(session, scope)
            session.commit()


def tend_exports() -> None:
    """Go on with the exports whose worker died, and delete those whose week is over."""
    with operator_session("find every tenant's exports that are lost or over") as session:
        exports.requeue_lost(session)
        exports.expire(session)
        session.commit()


def tend_account_mail() -> None:
    """Send again what people were not reached with about their accounts, and forget what was sent long ago."""
    with operator_session("find the mail of every tenant's people that is due") as session:
        account_mail.requeue_due(session)
        account_mail.forget_old(session)
        session.commit()
