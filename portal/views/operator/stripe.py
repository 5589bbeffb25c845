"""What is on its way to Stripe and back: the outbox of usage reports, and the inbox of events."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from billing import wording
from billing.stripe import inbox, jobs, outbox
from billing.stripe.inbox import EventNotFound, EventStateError
from billing.stripe.outbox import ReportNotFound, ReportStateError
from core.db import operator_session
from core.models.billing import PriceKind
from core.models.stripe import ReportStatus
from core.tenancy import StaffPermission
from portal.access import staff

bp = Blueprint("operator_stripe", __name__, url_prefix="/operator/stripe")

LISTED = 200
UNHANDLED = "unhandled"


@bp.get("/outbox")
@staff(StaffPermission.INVOICES_READ)
def reports() -> ResponseReturnValue:
    """The usage that Stripe was told of, or is to be."""
    status = _status()
    with operator_session("list the usage reports of all tenants") as db:
        return render_template(
            "operator/stripe/outbox.html",
            reports=outbox.list_reports(db, status, LISTED),
            counts=outbox.count_reports(db),
            status=status,
            limit=LISTED,
            is_on=jobs.is_on(),
            titles={kind: wording.KIND_TITLES[kind] for kind in PriceKind},
        )


@bp.post("/outbox/<uuid:report_id>/retry")
@staff(StaffPermission.INVOICES_WRITE)
def retry_report(report_id: UUID) -> ResponseReturnValue:
    """Report again what Stripe rejected."""
    with (
        operator_session("report a tenant's usage to Stripe again") as db,
        _telling("It is reported again within a minute."),
    ):
        outbox.retry(db, current_user.actor, report_id)
        db.commit()
    return redirect(url_for("operator_stripe.reports"), code=303)


@bp.post("/outbox/<uuid:report_id>/give-up")
@staff(StaffPermission.INVOICES_WRITE)
def give_up_report(report_id: UUID) -> ResponseReturnValue:
    """Let an item on the invoice ask for what Stripe rejected."""
    with (
        operator_session("have an invoice ask for a tenant's usage that Stripe rejected") as db,
        _telling("An item on the month's invoice asks for it."),
    ):
        outbox.give_up(db, current_user.actor, report_id)
        db.commit()
    return redirect(url_for("operator_stripe.reports"), code=303)


@bp.get("/inbox")
@staff(StaffPermission.INVOICES_READ)
def events() -> ResponseReturnValue:
    """What Stripe told of."""
    only_unhandled = request.args.get("status") == UNHANDLED
    with operator_session("list Stripe's events, of all tenants") as db:
        return render_template(
            "operator/stripe/inbox.html",
            events=inbox.list_events(db, only_unhandled=only_unhandled, limit=LISTED),
            counts=inbox.count_events(db),
            only_unhandled=only_unhandled,
            limit=LISTED,
            is_on=jobs.is_on(),
        )


@bp.post("/inbox/<uuid:event_id>/retry")
@staff(StaffPermission.INVOICES_WRITE)
def retry_event(event_id: UUID) -> ResponseReturnValue:
    """Have an event handled that was not so far."""
    with (
        operator_session("have an event of Stripe's handled again") as db,
        _telling("It is handled within a minute."),
    ):
        inbox.retry(db, current_user.actor, event_id)
        if jobs.is_on():
            jobs.ring_for_event(db, event_id)
        db.commit()
    return redirect(url_for("operator_stripe.events"), code=303)


@contextmanager
def _telling(success: str) -> Iterator[None]:
    """Tell how a change went: done, or why not; 404 where there is no such row."""
    try:
        yield
    except (ReportNotFound, EventNotFound):
        abort(404)
    except (ReportStateError, EventStateError) as error:
        flash(str(error), "error")
    else:
        flash(success, "success")


def _status() -> ReportStatus | None:
    try:
        return ReportStatus(request.args["status"]) if request.args.get("status") else None
    except ValueError:
        abort(404)
