"""A tenant's credits, as the operator grants them."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from billing.credits import CreditError, grant_credit, list_credits, spendable_cents
from billing.money import money
from billing.plans import current_plan
from core.clock import now
from core.db import operator_session
from core.models.credit_grants import CreditKind
from core.models.tenants import Tenant
from core.tenancy import StaffPermission
from portal.access import staff
from portal.forms.credits import CreditForm

bp = Blueprint("operator_credits", __name__, url_prefix="/operator/tenants/<uuid:tenant_id>/credits")


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index(tenant_id: UUID) -> ResponseReturnValue:
    with operator_session("show a tenant's credits to the operator's staff") as db:
        return _page(db, _get_or_404(db, tenant_id), CreditForm(formdata=None))


@bp.post("")
@staff(StaffPermission.INVOICES_WRITE)
def grant(tenant_id: UUID) -> ResponseReturnValue:
    form = CreditForm()
    with operator_session("grant a tenant credit") as db:
        tenant = _get_or_404(db, tenant_id)
        if form.validate_on_submit():
            currency = current_plan(db, tenant.id).currency
            try:
                granted = grant_credit(
                    db,
                    current_user.actor,
                    tenant.id,
                    CreditKind(form.kind.data),
                    form.amount.cents,
                    currency,
                    form.reference.data,
                    note=form.note.data or None,
                    expires_at=form.expires_at,
                )
            except CreditError as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                flash(f"{tenant.name} has {money(granted.amount_cents, currency)} of credit more.", "success")
                return redirect(url_for("operator_credits.index", tenant_id=tenant.id), code=303)
        return _page(db, tenant, form), 422


def _page(db: Session, tenant: Tenant, form: CreditForm) -> str:
    currency = current_plan(db, tenant.id).currency
    form.offer(currency)
    found = list_credits(db, tenant.id)
    return render_template(
        "operator/credits/index.html",
        tenant=tenant,
        credits=found,
        left_cents=spendable_cents(found, currency),
        currency=currency,
        form=form,
        now=now(),
    )


def _get_or_404(db: Session, tenant_id: UUID) -> Tenant:
    tenant = db.get(Tenant, tenant_id)
    if tenant is None:
        abort(404)
    return tenant
