"""The operator's plans and their prices."""

from datetime import UTC, datetime, time

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from billing import wording
from billing.plan_limits import change_limits
from billing.plans import PlanError
from billing.prices import add_price
from core.db import operator_session
from core.models.billing import PriceKind
from core.tenancy import StaffPermission
from portal import plans
from portal.access import staff
from portal.forms.plans import LimitsForm, PriceForm
from portal.plans import ShownPlan

bp = Blueprint("operator_plans", __name__, url_prefix="/operator/plans")


@bp.get("")
@staff(StaffPermission.PLANS_READ)
def index() -> ResponseReturnValue:
    with operator_session("count the tenants on each plan") as db:
        return render_template("operator/plans/index.html", plans=plans.list_plans(db), wording=wording)


@bp.get("/<code>")
@staff(StaffPermission.PLANS_READ)
def show(code: str) -> ResponseReturnValue:
    with operator_session("count the tenants on a plan") as db:
        return render_template("operator/plans/show.html", shown=_get_or_404(db, code), wording=wording)


@bp.route("/<code>/price", methods=["GET", "POST"])
@staff(StaffPermission.PLANS_WRITE)
def price(code: str) -> ResponseReturnValue:
    """The form for the next version of one price: `kind` in the address says which."""
    kind = _kind_or_404()
    with operator_session("change a price of the catalogue, which no tenant may") as db:
        shown = _get_or_404(db, code)
        form = PriceForm()
        form.offer(kind, shown.plan.currency)
        if form.validate_on_submit():
            try:
                added = add_price(
                    db,
                    current_user.actor,
                    code,
                    kind,
                    form.terms,
                    datetime.combine(form.effective_from.data, time(), UTC),
                )
            except PlanError as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                title = wording.KIND_TITLES[kind].lower()
                flash(
                    f"The {title} of {shown.plan.name} changes on {added.effective_from:%-d %b %Y}.",
                    "success",
                )
                return redirect(url_for("operator_plans.show", code=code), code=303)
        elif not form.is_submitted():
            form.show(shown.prices[kind])
        page = render_template(
            "operator/plans/price.html", shown=shown, kind=kind, form=form, wording=wording
        )
        return page, 422 if form.is_submitted() else 200


@bp.route("/<code>/limits", methods=["GET", "POST"])
@staff(StaffPermission.PLANS_WRITE)
def limits(code: str) -> ResponseReturnValue:
    """The form for what the plan allows a minute."""
    with operator_session("change the limits of a plan of the catalogue, which no tenant may") as db:
        shown = _get_or_404(db, code)
        form = LimitsForm(requests=shown.plan.requests_per_minute, tokens=shown.plan.tokens_per_minute)
        if form.validate_on_submit():
            change_limits(
                db,
                current_user.actor,
                code,
                requests_per_minute=form.requests.data,
                tokens_per_minute=form.tokens.data,
            )
            db.commit()
            flash(f"The limits of {shown.plan.name} have changed.", "success")
            return redirect(url_for("operator_plans.show", code=code), code=303)
        page = render_template("operator/plans/limits.html", shown=shown, form=form)
        return page, 422 if form.is_submitted() else 200


def _kind_or_404() -> PriceKind:
    try:
        return PriceKind(request.args.get("kind", ""))
    except ValueError:
        abort(404)


def _get_or_404(db: Session, code: str) -> ShownPlan:
    shown = plans.find_plan(db, code)
    if shown is None:
        abort(404)
    return shown
