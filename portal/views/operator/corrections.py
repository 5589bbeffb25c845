"""Taking usage back: a request is found by its id, and each of its facts is reversed with a reason."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from billing import wording
from billing.corrections import CorrectionError, FactNotFound, reverse
from billing.fact_search import find_fact, find_facts, list_reversals
from core.db import operator_session
from core.tenancy import StaffPermission
from portal.access import staff
from portal.forms.finance import RequestSearchForm, ReverseForm

bp = Blueprint("operator_corrections", __name__, url_prefix="/operator/corrections")


@bp.get("")
@staff(StaffPermission.INVOICES_READ)
def index() -> ResponseReturnValue:
    form = RequestSearchForm(request.args)
    with operator_session("find a request's usage, whichever tenant's it is") as db:
        return _page(db, form)


@bp.post("/<uuid:tenant_id>/<uuid:fact_id>/reverse")
@staff(StaffPermission.INVOICES_WRITE)
def take_back(tenant_id: UUID, fact_id: UUID) -> ResponseReturnValue:
    """Reverse one usage fact."""
    form = _form(fact_id)
    with operator_session("take back a tenant's usage") as db:
        fact = find_fact(db, tenant_id, fact_id)
        if fact is None:
            abort(404)
        search = RequestSearchForm(formdata=None, q=fact.request_id)
        if form.validate_on_submit():
            try:
                taken_back = reverse(db, current_user.actor, tenant_id, fact_id, form.reason.data)
            except FactNotFound:
                abort(404)
            except CorrectionError as error:
                form.form_errors.append(str(error))
            else:
                db.commit()
                flash(
                    f"{-taken_back.quantity:,} tokens of request {fact.request_id} are taken back.", "success"
                )
                return redirect(url_for("operator_corrections.index", q=fact.request_id), code=303)
        return _page(db, search, form, fact_id), 422


def _page(
    db: Session, search: RequestSearchForm, sent: ReverseForm | None = None, of: UUID | None = None
) -> str:
    """The facts that are looked for, each with a form, of which that of the fact `of` was filled in."""
    wanted = (search.q.data or "").strip() if sent or search.validate() else ""
    facts = find_facts(db, wanted) if wanted else []
    return render_template(
        "operator/corrections/index.html",
        search=search,
        wanted=wanted,
        facts=[(one, sent if one.fact.id == of and sent else _form(one.fact.id)) for one in facts],
        reversals=list_reversals(db),
        wording=wording,
    )


def _form(fact_id: UUID) -> ReverseForm:
    """The form of one fact; a request may have several on the page."""
    return ReverseForm(prefix=str(fact_id))
