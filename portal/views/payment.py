"""How the tenant pays: by the card that Stripe keeps, or by bank transfer."""

from uuid import uuid4

import structlog
from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user

from billing.plans import current_plan
from billing.stripe import subscriptions
from billing.stripe.catalogue_sync import NotAtStripe
from billing.stripe.checkout import (
    CHECKOUT_ID,
    CheckoutOpen,
    UnknownCheckout,
    checkout_url,
    ensure_customer,
    find_customer,
    finish_checkout,
    portal_url,
)
from billing.stripe.client import StripeClient, StripeMissing, StripeProblem, StripeUnavailable, stripe_client
from billing.stripe.promotions import CodeRefused, apply_code
from core.clock import now
from core.config import get_settings
from core.models.tenants import Tenant
from core.tenancy import Permission
from portal.access import allow
from portal.app import CONTENT_SECURITY_POLICY
from portal.forms.payment import PromotionForm
from portal.limits import limiter
from portal.session import db, scope

bp = Blueprint("payment", __name__, url_prefix="/payment")

log = structlog.get_logger(__name__)

STRIPE_PAGES = "https://checkout.stripe.com https://billing.stripe.com"


@bp.get("")
@allow(Permission.INVOICES_READ)
def index() -> ResponseReturnValue:
    return _page(PromotionForm(formdata=None))


def _page(form: PromotionForm) -> Response:
    response = make_response(
        render_template(
            "payment/index.html",
            form=form,
            collects=bool(get_settings().stripe_secret_key),
            customer=find_customer(db(), scope().tenant_id),
            today=now().date(),
        )
    )
    # Its forms lead to pages of Stripe's: a browser holds the redirect to the policy, too.
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY.replace(
        "form-action 'self'", f"form-action 'self' {STRIPE_PAGES}"
    )
    return response


@bp.post("/card")
@allow(Permission.BILLING_WRITE)
def add_card() -> ResponseReturnValue:
    """Send the person to a page of Stripe's that asks for a card."""
    client = stripe_client()
    if client is None:
        return _back("Invoices are paid by bank transfer here.", "info")
    tenant_id = scope().tenant_id
    name = db().get_one(Tenant, tenant_id).name
    currency = current_plan(db(), tenant_id).currency
    db().rollback()  # no transaction waits for Stripe
    try:
        customer_id = ensure_customer(client, tenant_id, name, current_user.email)
        return redirect(
            checkout_url(
                client,
                customer_id,
                currency,
                success_url=f"{_address('payment.returned')}?checkout={CHECKOUT_ID}",
                cancel_url=_address("payment.index"),
                key=f"checkout-{uuid4()}",
            ),
            code=303,
        )
    except StripeProblem as problem:
        return _problem(problem)


@bp.get("/return")
@allow(Permission.BILLING_WRITE)
def returned() -> ResponseReturnValue:
    """Where Stripe sends the person back to. Whether there is a card now is asked of Stripe, not of the address."""
    client = stripe_client()
    if client is None:
        return _back("Invoices are paid by bank transfer here.", "info")
    tenant_id = scope().tenant_id
    try:
        finish_checkout(client, request.args.get("checkout", "none"), scope().actor, tenant_id)
    except (UnknownCheckout, StripeMissing):
        abort(404)
    except CheckoutOpen:
        return _back("No card was given: add one whenever you are ready.", "info")
    except StripeProblem as problem:
        return _problem(problem)
    _start_collecting(client)
    return _back("The card is saved.", "success")


def _start_collecting(client: StripeClient) -> None:
    """Have Stripe count what the tenant uses; where that fails now, the nightly sweep does it."""
    try:
        subscriptions.start(client, scope().tenant_id)
    except (StripeProblem, NotAtStripe) as problem:
        log.warning("subscription_not_started", problem=type(problem).__name__)


@bp.post("/portal")
@allow(Permission.BILLING_WRITE)
def open_portal() -> ResponseReturnValue:
    """Send the person to Stripe's customer portal."""
    client = stripe_client()
    customer = find_customer(db(), scope().tenant_id)
    if client is None or customer is None:
        return _back("There is no card yet: add one first.", "info")
    customer_id = customer.customer_id
    db().rollback()
    try:
        address = portal_url(
            client, customer_id, return_url=_address("payment.index"), key=f"portal-{uuid4()}"
        )
    except (StripeProblem, NotAtStripe) as problem:
        return _problem(problem)
    return redirect(address, code=303)


@bp.post("/promotion")
@allow(Permission.BILLING_WRITE)
@limiter.limit("20 per hour")
def apply_promotion() -> ResponseReturnValue:
    """Take a promotion code; the limit keeps people from guessing one."""
    client = stripe_client()
    if client is None:
        return _back("Invoices are paid by bank transfer here.", "info")
    form = PromotionForm()
    if form.validate_on_submit():
        code = form.code.data or ""
        try:
            apply_code(client, scope().tenant_id, code, scope().actor)
        except CodeRefused as refusal:
            form.code.errors = [str(refusal)]
        except StripeProblem as problem:
            return _problem(problem)
        else:
            return _back(f"The code {code} counts from the next invoice on.", "success")
    return _page(form), 422


def _address(endpoint: str) -> str:
    return get_settings().portal_url + url_for(endpoint)


def _problem(problem: StripeProblem | NotAtStripe) -> ResponseReturnValue:
    code = problem.code if isinstance(problem, StripeProblem) else ""
    log.warning("stripe_problem", problem=type(problem).__name__, code=code)
    if isinstance(problem, StripeUnavailable):
        return _back("Stripe does not answer just now. Nothing was changed: try again in a minute.", "error")
    return _back("Stripe refused this, and it was noted. Nothing was changed: write to us.", "error")


def _back(message: str, tone: str) -> ResponseReturnValue:
    flash(message, tone)
    return redirect(url_for("payment.index"), code=303)
