"""How a tenant's people sign in: what its admins demand of them."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.networks import parse_networks
from core.tenancy import Permission
from portal.access import allow
from portal.accounts import AccountError
from portal.forms import errors
from portal.forms.sign_in_rules import SignInRulesForm
from portal.session import db, scope
from portal.sign_in_rules import change_rules, rules_of

bp = Blueprint("sign_in_rules", __name__, url_prefix="/members/sign-in")


@bp.get("")
@allow(Permission.MEMBERS_WRITE)
def show() -> ResponseReturnValue:
    rules = rules_of(db(), scope())
    return _page(
        SignInRulesForm(
            formdata=None,
            session_hours=rules.session_hours,
            requires_second_factor=rules.requires_second_factor,
            networks="\n".join(rules.networks or ()),
        )
    )


@bp.post("")
@allow(Permission.MEMBERS_WRITE)
def save() -> ResponseReturnValue:
    form = SignInRulesForm()
    if form.validate_on_submit():
        try:
            change_rules(
                db(),
                scope(),
                session_hours=form.session_hours.data,
                requires_second_factor=form.requires_second_factor.data,
                networks=parse_networks(form.networks.data or ""),
                address=request.remote_addr,
            )
        except AccountError as error:
            errors.show(form, error)
        else:
            db().commit()
            flash("The rules are in force.", "success")
            return redirect(url_for("sign_in_rules.show"), code=303)
    return _page(form), 422


def _page(form: SignInRulesForm) -> str:
    return render_template("members/sign_in.html", form=form)
