"""The operator's tenants."""

from uuid import UUID

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session
from wtforms import SelectChoice

from billing import contracts, plans
from billing.periods import Month
from billing.plans import PlanError
from core.clock import now
from core.db import operator_session
from core.models.tenants import Tenant
from core.tenancy import StaffPermission
from portal import deletion, tenants
from portal.access import staff
from portal.forms import errors
from portal.forms.deletion import DeletionForm
from portal.forms.plans import NEXT_MONTH, NOW, ChangePlanForm, ContractForm
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


@bp.post("/<uuid:tenant_id>/delete")
@staff(StaffPermission.TENANTS_WRITE)
def delete(tenant_id: UUID) -> ResponseReturnValue:
    form = DeletionForm()
    with operator_session("have a tenant deleted") as db:
        tenant = _get_or_404(db, tenant_id)
        if form.validate_on_submit():
            try:
                deletion.request_deletion(db, current_user.actor, tenant_id, form.name.data or "")
            except deletion.DeletionError as error:
                errors.show(form, error)
            else:
                db.commit()
                flash(f"{tenant.name} is to be deleted: its keys are refused.", "success")
                return redirect(url_for("operator_tenants.show", tenant_id=tenant_id), code=303)
        return _page(db, tenant, SuspendForm(formdata=None), deletion_form=form), 422


@bp.post("/<uuid:tenant_id>/keep")
@staff(StaffPermission.TENANTS_WRITE)
def keep(tenant_id: UUID) -> ResponseReturnValue:
    with operator_session("take a tenant's deletion back") as db:
        tenant = _get_or_404(db, tenant_id)
        try:
            deletion.withdraw_deletion(db, current_user.actor, tenant_id)
        except deletion.DeletionError as error:
            flash(str(error), "error")
        else:
            db.commit()
            flash(f"{tenant.name} is kept.", "success")
    return redirect(url_for("operator_tenants.show", tenant_id=tenant_id), code=303)


@bp.get("/<uuid:tenant_id>/certificate")
@staff(StaffPermission.TENANTS_READ)
def certificate(tenant_id: UUID) -> ResponseReturnValue:
    with operator_session("hand out the certificate of what was destroyed of a tenant") as db:
        found = deletion.find_deletion(db, tenant_id)
    if found is None or found.certificate is None:
        abort(404)
    response = jsonify(certificate=found.certificate, signature=found.signature)
    response.headers["Content-Disposition"] = f'attachment; filename="deletion-{found.id}.json"'
    return response


@bp.post("/<uuid:tenant_id>/plan")
@staff(StaffPermission.PLANS_WRITE)
def change_plan(tenant_id: UUID) -> ResponseReturnValue:
    with operator_session("put a tenant on another plan") as db:
        tenant = _get_or_404(db, tenant_id)
        form = _plan_form(db, tenant_id)
        if form.validate_on_submit():
            at = Month.containing(now()).end if form.start.data == NEXT_MONTH else None
            try:
                subscription = plans.change_plan(db, current_user.actor, tenant_id, form.plan.data, at)
            except PlanError as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                name = plans.get_plan(db, subscription.plan_code).name
                flash(
                    f"{tenant.name} is on {name} from {subscription.starts_at:%-d %b %Y, %H:%M} UTC on.",
                    "success",
                )
                return redirect(url_for("operator_tenants.show", tenant_id=tenant_id), code=303)
        return _page(db, tenant, SuspendForm(formdata=None), form), 422


@bp.post("/<uuid:tenant_id>/contract")
@staff(StaffPermission.PLANS_WRITE)
def make_contract(tenant_id: UUID) -> ResponseReturnValue:
    with operator_session("make a tenant's contract") as db:
        tenant = _get_or_404(db, tenant_id)
        form = _contract_form(db)
        if form.validate_on_submit():
            try:
                contract = contracts.make_contract(
                    db, current_user.actor, tenant_id, form.copy_of.data, form.name.data or ""
                )
            except PlanError as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                flash(
                    f"{contract.name} is there: change its prices, then put {tenant.name} on it.", "success"
                )
                return redirect(url_for("operator_plans.show", code=contract.code), code=303)
        return _page(db, tenant, SuspendForm(formdata=None), contract_form=form), 422


def _page(
    db: Session,
    tenant: Tenant,
    form: SuspendForm,
    plan_form: ChangePlanForm | None = None,
    contract_form: ContractForm | None = None,
    deletion_form: DeletionForm | None = None,
) -> str:
    month = Month.containing(now())
    return render_template(
        "operator/tenants/show.html",
        overview=tenants.overview_of(db, tenant, month),
        month=month,
        form=form,
        plan_form=plan_form or _plan_form(db, tenant.id),
        contract_form=contract_form or _contract_form(db),
        deletion=deletion.find_deletion(db, tenant.id),
        deletion_form=deletion_form or DeletionForm(formdata=None),
        holdings=plans.list_holdings(db, tenant.id)[::-1],
        plan_names={plan.code: plan.name for plan in plans.list_plans(db, tenant.id)},
        now=now(),
    )


def _contract_form(db: Session) -> ContractForm:
    form = ContractForm()
    form.copy_of.choices = [
        SelectChoice("", "Choose a plan"),
        *(
            SelectChoice(plan.code, plan.name)
            for plan in plans.list_plans(db)
            if plan.contract_tenant_id is None
        ),
    ]
    return form


def _plan_form(db: Session, tenant_id: UUID) -> ChangePlanForm:
    form = ChangePlanForm()
    form.plan.choices = [
        SelectChoice("", "Choose a plan"),
        *(SelectChoice(plan.code, plan.name) for plan in plans.list_plans(db, tenant_id)),
    ]
    next_month = Month.containing(now()).next
    form.start.choices = [
        SelectChoice(NEXT_MONTH, f"{next_month.start:%-d %B %Y}, with the next month"),
        SelectChoice(NOW, "Now: the month's fee is parted by days"),
    ]
    return form


def _get_or_404(db: Session, tenant_id: UUID) -> Tenant:
    tenant = db.get(Tenant, tenant_id)
    if tenant is None:
        abort(404)
    return tenant
