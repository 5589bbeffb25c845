"""Budgets: what the tenant and its keys may spend in a month, how they stand, and what was told of them."""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from billing import budgets
from billing.budgets import BudgetError
from core.models.api_keys import ApiKey
from core.models.budgets import Budget
from core.tenancy import Permission
from portal.access import allow
from portal.forms import errors
from portal.forms.budgets import CAP, TENANT, BudgetForm
from portal.session import db, get_or_404, scope

bp = Blueprint("budgets", __name__, url_prefix="/budgets")


@bp.get("")
@allow(Permission.USAGE_READ)
def index() -> ResponseReturnValue:
    return _page(_form())


@bp.post("")
@allow(Permission.BILLING_WRITE)
def save() -> ResponseReturnValue:
    """Set a budget, in place of the one that there is."""
    form = _form()
    if form.validate_on_submit():
        whose = form.api_key.data
        try:
            budgets.set_budget(
                db(),
                scope(),
                api_key_id=None if whose == TENANT else UUID(whose),
                monthly_cents=form.cents,
                is_cap=form.effect.data == CAP,
                webhook_url=form.webhook_url.data or None,
            )
        except BudgetError as error:
            errors.show(form, error)
        else:
            db().commit()
            flash("The budget is set.", "success")
            return redirect(url_for("budgets.index"), code=303)
    return _page(form), 422


@bp.post("/<uuid:budget_id>/delete")
@allow(Permission.BILLING_WRITE)
def delete(budget_id: UUID) -> ResponseReturnValue:
    budgets.delete_budget(db(), scope(), get_or_404(Budget, budget_id))
    db().commit()
    flash("The budget is removed.", "success")
    return redirect(url_for("budgets.index"), code=303)


def _form() -> BudgetForm:
    keys = db().execute(
        select(ApiKey.id, ApiKey.name).where(ApiKey.revoked_at.is_(None)).order_by(ApiKey.name)
    )
    form = BudgetForm()
    form.offer((str(key_id), name) for key_id, name in keys)
    return form


def _page(form: BudgetForm) -> str:
    overview = budgets.overview(db(), scope().tenant_id)
    db().commit()  # usage may have been counted for it
    form.amount.label.text = f"Amount a month, {overview.currency}"
    return render_template(
        "budgets/index.html", form=form, overview=overview, alerts=budgets.list_alerts(db())
    )
