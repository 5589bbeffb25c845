"""Checkout sessions that set up a card, and the customer portal; both are pages that the person sees at Stripe."""

from tests.fake_stripe import cards
from tests.fake_stripe.account import Account, Object, page
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import PAGE, answers

_DAY = 86400


@answers(
    "post",
    "/v1/checkout/sessions",
    "mode customer customer_update success_url cancel_url currency client_reference_id metadata locale",
    "payment_method_types setup_intent_data billing_address_collection tax_id_collection",
)
def create_session(account: Account, params: Object) -> Object:
    if params.get("mode") != "setup":
        raise StripeFault.not_modelled(f"mode {params.get('mode')}")
    if "success_url" not in params:
        raise StripeFault.invalid("Missing required param: success_url.", "success_url", "parameter_missing")
    if "currency" not in params and "payment_method_types" not in params:
        raise StripeFault.invalid("Give currency.", "currency", "parameter_missing")
    customer = account.get("customer", params.get("customer", ""), "customer")
    session = account.new(
        "checkout.session",
        "cs_test",
        mode="setup",
        status="open",
        payment_status="no_payment_required",
        customer=customer["id"],
        client_reference_id=params.get("client_reference_id"),
        currency=params.get("currency"),
        expires_at=account.now() + _DAY,
        metadata=params.get("metadata", {}),
        payment_method_types=params.get("payment_method_types", ["card"]),
        success_url=params["success_url"],
        cancel_url=params.get("cancel_url"),
        ui_mode="hosted_page",
    )
    session["url"] = f"https://checkout.stripe.com/c/pay/{session['id']}"
    return session


@answers("get", "/v1/checkout/sessions/{session}")
def retrieve_session(account: Account, _params: Object, key: str) -> Object:
    return account.get("checkout.session", key, "session")


@answers("get", "/v1/checkout/sessions", PAGE, "customer status")
def list_sessions(account: Account, params: Object) -> Object:
    found = account.of("checkout.session", customer=params.get("customer"), status=params.get("status"))
    return page(found, "/v1/checkout/sessions", params)


@answers("post", "/v1/checkout/sessions/{session}/expire")
def expire_session(account: Account, _params: Object, key: str) -> Object:
    session = account.get("checkout.session", key, "session")
    if session["status"] != "open":
        raise StripeFault.invalid("Only an open session can be expired.", "session")
    session.update(status="expired", url=None)
    account.emit("checkout.session.expired", session)
    return session


def complete(account: Account, key: str, token: str) -> str:
    """What the person does at Stripe: give a test card. Returns the address that Stripe sends them on to.

    Raises StripeFault where the card's bank refuses to save it: they stay on Stripe's page.
    """
    session = account.get("checkout.session", key, "session")
    intent = cards.set_up(account, account.objects[session["customer"]], token)
    session.update(status="complete", setup_intent=intent["id"], url=None)
    account.emit("checkout.session.completed", session)
    url: str = session["success_url"]
    return url.replace("{CHECKOUT_SESSION_ID}", key)


def replace_card(account: Account, customer_id: str, token: str) -> None:
    """What the person does in the customer portal: give another card, which becomes the default."""
    customer = account.get("customer", customer_id, "customer")
    method = cards.attach(account, token, customer)
    customer["invoice_settings"]["default_payment_method"] = method["id"]
    account.emit("customer.updated", customer)


@answers(
    "post", "/v1/billing_portal/configurations", "features business_profile default_return_url metadata name"
)
def create_configuration(account: Account, params: Object) -> Object:
    now = account.now()
    made = account.new(
        "billing_portal.configuration", "bpc", active=True, updated=now, name=params.get("name")
    )
    made["metadata"] = params.get("metadata", {})
    for name, feature in params["features"].items():
        made["features"][name].update(feature)
    return made


@answers("get", "/v1/billing_portal/configurations", PAGE, "active is_default")
def list_configurations(account: Account, params: Object) -> Object:
    wanted = {"active": params.get("active"), "is_default": params.get("is_default")}
    return page(
        account.of("billing_portal.configuration", **wanted), "/v1/billing_portal/configurations", params
    )


@answers("post", "/v1/billing_portal/sessions", "customer configuration return_url locale")
def create_portal_session(account: Account, params: Object) -> Object:
    customer = account.get("customer", params.get("customer", ""), "customer")
    configurations = account.of("billing_portal.configuration")
    if not configurations:
        raise StripeFault.invalid("No configuration provided, and there is no default one.", "configuration")
    chosen: str = params.get("configuration") or configurations[0]["id"]
    account.get("billing_portal.configuration", chosen, "configuration")
    session = account.new(
        "billing_portal.session",
        "bps",
        configuration=chosen,
        customer=customer["id"],
        return_url=params.get("return_url"),
    )
    session["url"] = f"https://billing.stripe.com/p/session/{session['id']}"
    return session
