"""The operator's tenants."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from billing.periods import Month
from core.clock import now
from core.db import operator_session
from core.models.tenants import Tenant
from core.tenancy import StaffPermission
from portal import tenants
from portal.access import staff
from portal.forms.tenants import SuspendForm, TenantSearchForm

bp = Blueprint("operator_tenants", __name__, url_prefix="/operator/tenants")


@bp.get("")
@staff(StaffPermission.TENANTS_READ)
def index() -> ResponseReturnValue:
    form = TenantSearchForm(request.args)
    month = Month.containing(now())
    with operator_session("list the tenants") as db:
        rows = tenants.list_tenants(db, month, (form.q.data or "").strip() if form.validate() else "")
    return render_template(
        "operator/tenants/index.html", form=form, rows=rows, month=month, limit=tenants.LISTED
    )


@bp.get("/<uuid:tenant_id>")
@staff(StaffPermission.TENANTS_READ)
def show(tenant_id: UUID) -> ResponseReturnValue:
    with operator_session("show a tenant to the operator's staff") as db:
        return _page(db, _get_or_404(db, tenant_id), SuspendForm())


@bp.post("/<uuid:tenant_id>/suspend")
@staff(StaffPermission.TENANTS_WRITE)
def suspend(tenant_id: UUID) -> ResponseReturnValue:
    form = SuspendForm()
    with operator_session("suspend a tenant") as db:
        tenant = _get_or_404(db, tenant_id)
        if not form.validate_on_submit():
            return _page(db, tenant, form), 422
        tenants.suspend(db, current_user.actor, tenant, form.reason.data)
        db.commit()
    flash(f"{tenant.name} is suspended: its users and keys are refused.", "success")
    return redirect(url_for("operator_tenants.show", tenant_id=tenant_id), code=303)


@bp.post("/<uuid:tenant_id>/reactivate")
@staff(StaffPermission.TENANTS_WRITE)
def reactivate(tenant_id: UUID) -> ResponseReturnValue:
    with operator_session("let a suspended tenant in again") as db:
        tenant = _get_or_404(db, tenant_id)
        tenants.reactivate(db, current_user.actor, tenant)
        db.commit()
    flash(f"{tenant.name} is active again.", "success")
    return redirect(url_for("operator_tenants.show", tenant_id=tenant_id), code=303)


def _page(db: Session, tenant: Tenant, form: SuspendForm) -> str:
    month = Month.containing(now())
    overview = tenants.overview_of(db, tenant, month)
    return render_template("operator/tenants/show.html", overview=overview, month=month, form=form)


def _get_or_404(db: Session, tenant_id: UUID) -> Tenant:
    tenant = db.get(Tenant, tenant_id)
    if tenant is None:
        abort(404)
    return tenant
