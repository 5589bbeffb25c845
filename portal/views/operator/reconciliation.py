"""The ledger against Stripe and the invoices: what was compared, what is held, and what finance does about it."""

from collections.abc import Callable
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from billing import wording
from billing.close import first_month
from billing.invoices import InvoiceNotFound, find_unbalanced
from billing.periods import Month
from billing.reconciliation import balance
from billing.stripe import jobs, review
from billing.stripe.client import StripeClient, StripeProblem, get_stripe_client
from billing.stripe.compared import (
    ComparedInvoice,
    ComparisonNotFound,
    compared_csv,
    get_compared,
    list_compared,
)
from billing.stripe.review import NotHeld, ReviewError
from core.clock import now
from core.db import operator_session
from core.models.stripe import StripeInvoice
from core.tenancy import StaffPermission
from portal.access import staff
from portal.downloads import csv_file
from portal.forms.finance import AcceptForm
from portal.months import month_or_404, switch

bp = Blueprint("operator_reconciliation", __name__, url_prefix="/operator/reconciliation")


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    running = Month.containing(now())
    month = month_or_404(request.args.get("month"), running.previous)
    with operator_session("compare the ledger with the invoices and with Stripe") as db:
        months = switch(
            month,
            first_month(db),
            running,
            lambda to: url_for("operator_reconciliation.index", month=str(to)),
        )
        return render_template(
            "operator/reconciliation/index.html",
            months=months,
            compared=list_compared(db, month),
            held=review.list_held(db),
            without_stripe=review.list_without_stripe(db),
            unbalanced=find_unbalanced(db),
            balances=balance(db, month),
            is_on=jobs.is_on(),
            wording=wording,
        )


@bp.get("/reconciliation.csv")
@staff(StaffPermission.INVOICES_READ)
def download() -> ResponseReturnValue:
    """A month's comparisons, line by line."""
    month = month_or_404(request.args.get("month"), Month.containing(now()).previous)
    with operator_session("export how the ledger compares with Stripe") as db:
        text = compared_csv(list_compared(db, month))
    return csv_file(text, f"reconciliation-{month}.csv")


@bp.get("/<uuid:stripe_invoice_id>")
@staff(StaffPermission.INVOICES_READ)
def show(stripe_invoice_id: UUID) -> ResponseReturnValue:
    with operator_session("show how any tenant's invoice compares with Stripe's") as db:
        return _page(_get_or_404(db, stripe_invoice_id), AcceptForm(formdata=None))


@bp.post("/<uuid:stripe_invoice_id>/recheck")
@staff(StaffPermission.INVOICES_WRITE)
def recheck(stripe_invoice_id: UUID) -> ResponseReturnValue:
    """Fetch a held invoice from Stripe, and compare it once more."""
    _require(stripe_invoice_id)
    return _review(
        stripe_invoice_id,
        lambda client: review.recheck(client, current_user.actor, stripe_invoice_id),
        "It is the same at Stripe and here now.",
    )


@bp.post("/<uuid:stripe_invoice_id>/accept")
@staff(StaffPermission.INVOICES_WRITE)
def accept(stripe_invoice_id: UUID) -> ResponseReturnValue:
    """Make up what a held invoice differs by."""
    form = AcceptForm()
    shown = _require(stripe_invoice_id)
    if not form.validate_on_submit():
        return _page(shown, form), 422
    reason = form.reason.data
    return _review(
        stripe_invoice_id,
        lambda client: review.accept(client, current_user.actor, stripe_invoice_id, reason),
        "The difference is accepted.",
    )


@bp.post("/drafts/<uuid:invoice_id>/by-transfer")
@staff(StaffPermission.INVOICES_WRITE)
def by_transfer(invoice_id: UUID) -> ResponseReturnValue:
    """Issue a draft that Stripe has no invoice for as one to be paid by bank transfer."""
    with operator_session("issue a tenant's draft that Stripe does not collect") as db:
        try:
            invoice = review.collect_by_transfer(db, current_user.actor, invoice_id)
        except InvoiceNotFound:
            abort(404)
        except ReviewError as error:
            flash(str(error), "error")
            return redirect(url_for("operator_reconciliation.index"), code=303)
        db.commit()
        flash(f"Invoice {invoice.number} is issued, to be paid by bank transfer.", "success")
        return redirect(url_for("operator_invoices.show", invoice_id=invoice_id), code=303)


def _review(
    row_id: UUID, change: Callable[[StripeClient], StripeInvoice], agreed: str
) -> ResponseReturnValue:
    """Do something about a held invoice at Stripe, and tell what came of it."""
    try:
        row = change(get_stripe_client())
    except NotHeld:
        flash("It is not held any more.", "info")
    except (ReviewError, StripeProblem) as problem:
        flash(str(problem), "error")
    else:
        if row.held_at is None:
            flash(agreed, "success")
        else:
            flash("It still differs, and stays held.", "error")
    return redirect(url_for("operator_reconciliation.show", stripe_invoice_id=row_id), code=303)


def _page(shown: ComparedInvoice, form: AcceptForm) -> str:
    return render_template("operator/reconciliation/show.html", shown=shown, form=form, is_on=jobs.is_on())


def _require(row_id: UUID) -> ComparedInvoice:
    with operator_session("look for any tenant's invoice at Stripe") as db:
        return _get_or_404(db, row_id)


def _get_or_404(db: Session, row_id: UUID) -> ComparedInvoice:
    try:
        return get_compared(db, row_id)
    except ComparisonNotFound:
        abort(404)
