"""Cards: Stripe's test cards by the ids that test mode has for them, and setting one up."""

from dataclasses import dataclass

from tests.fake_stripe import openapi
from tests.fake_stripe.account import Account, Object, page
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import PAGE, answers


@dataclass(frozen=True)
class TestCard:
    """What a card is, and the code with which its bank refuses to save or to charge it."""

    brand: str
    last4: str
    refuses_saving: str = ""
    refuses_charge: str = ""


CARDS = {
    "pm_card_visa": TestCard("visa", "4242"),
    "pm_card_mastercard": TestCard("mastercard", "4444"),
    "pm_card_chargeDeclined": TestCard("visa", "0002", "generic_decline", "generic_decline"),
    "pm_card_chargeCustomerFail": TestCard("visa", "0341", "", "generic_decline"),
    "pm_card_authenticationRequired": TestCard("visa", "3184", "", "authentication_required"),
}
"""docs.stripe.com/testing: the ids that any account has in test mode."""


def make_card(account: Account, token: str) -> Object:
    """A payment method for a test card, attached to nobody. Raises StripeFault where the bank refuses it."""
    card = CARDS.get(token)
    if card is None:
        raise StripeFault.missing("PaymentMethod", token, "payment_method")
    if card.refuses_saving:
        raise StripeFault.declined(card.refuses_saving)
    details = {
        **openapi.blank("payment_method_card"),
        "brand": card.brand,
        "display_brand": card.brand,
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"fp{card.last4}",
        "funding": "credit",
        "last4": card.last4,
    }
    return account.new("payment_method", "pm", type="card", card=details, _token=token)


def charge_refusal(account: Account, payment_method: str) -> str:
    """The code with which a saved card's bank refuses a charge; empty where it does not."""
    return CARDS[account.get("payment_method", payment_method)["_token"]].refuses_charge


def attach(account: Account, token: str, customer: Object) -> Object:
    """Save a card for a customer; a test card's id makes a new payment method of it."""
    method = account.objects.get(token) or make_card(account, token)
    method["customer"] = customer["id"]
    account.emit("payment_method.attached", method)
    return method


@answers("post", "/v1/payment_methods/{payment_method}/attach", "customer")
def attach_to(account: Account, params: Object, key: str) -> Object:
    return attach(account, key, account.get("customer", params["customer"], "customer"))


@answers("post", "/v1/payment_methods/{payment_method}/detach")
def detach(account: Account, _params: Object, key: str) -> Object:
    method = account.get("payment_method", key, "payment_method")
    for customer in account.of("customer"):
        if customer["invoice_settings"]["default_payment_method"] == key:
            customer["invoice_settings"]["default_payment_method"] = None
    method["customer"] = None
    account.emit("payment_method.detached", method)
    return method


@answers("get", "/v1/payment_methods/{payment_method}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    return account.get("payment_method", key, "payment_method")


@answers("get", "/v1/customers/{customer}/payment_methods", PAGE, "type")
def list_of_customer(account: Account, params: Object, key: str) -> Object:
    found = account.of("payment_method", customer=key, type=params.get("type"))
    return page(found, f"/v1/customers/{key}/payment_methods", params)


@answers("get", "/v1/setup_intents/{intent}")
def retrieve_setup(account: Account, _params: Object, key: str) -> Object:
    return account.get("setup_intent", key, "intent")


def set_up(account: Account, customer: Object, token: str) -> Object:
    """The setup intent of a card that its owner has just given on one of Stripe's pages."""
    method = attach(account, token, customer)
    intent = account.new(
        "setup_intent",
        "seti",
        customer=customer["id"],
        payment_method=method["id"],
        payment_method_types=["card"],
        status="succeeded",
        usage="off_session",
    )
    account.emit("setup_intent.succeeded", intent)
    return intent
