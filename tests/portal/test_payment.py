"""The payment page: a card by Stripe's pages, or bank transfer; and nothing taken from the address that people come back by."""

from urllib.parse import parse_qs, urlsplit

import pytest

from billing.stripe.catalogue_sync import sync_catalogue
from billing.stripe.checkout import find_customer
from billing.stripe.client import get_stripe_client
from core.db import tenant_session
from core.tenancy import Role
from tests.fake_stripe.failures import Failure
from tests.people import new_admin


@pytest.fixture
def stripe(services, fake_stripe):
    """Stripe with our catalogue in it."""
    sync_catalogue(get_stripe_client())
    return fake_stripe


def page_of(person):
    return person.client.get("/payment").get_data(as_text=True)


def session_id(response):
    """The checkout session that a redirect to Stripe leads to."""
    assert response.status_code == 303
    address = urlsplit(response.location)
    assert address.hostname == "checkout.stripe.com"
    return address.path.rsplit("/", 1)[1]


def give_card(person, stripe, card="pm_card_visa"):
    """Go to Checkout, give a card, and come back."""
    checkout = session_id(person.client.post("/payment/card"))
    back = urlsplit(stripe.complete_checkout(checkout, card))
    return person.client.get(f"{back.path}?{back.query}", follow_redirects=True)


def customer_of(person):
    with tenant_session(person.scope) as session:
        return find_customer(session, person.scope.tenant_id)


def test_without_stripe_the_page_says_bank_transfer(admin):
    page = page_of(admin)
    assert "Bank transfer" in page
    assert "Stripe" not in page
    for path in ("/payment/card", "/payment/portal"):
        answer = admin.client.post(path, follow_redirects=True)
        assert answer.status_code == 200
    assert admin.client.get("/payment/return?checkout=cs_1").location == "/payment"


def test_a_card_is_given_at_stripe_and_charged_from_then_on(admin, stripe):
    assert "Add a card" in page_of(admin)
    page = give_card(admin, stripe).get_data(as_text=True)
    assert "The card is saved." in page
    assert "Visa ending in 4242" in page
    assert "From the invoice for" in page

    customer = customer_of(admin)
    assert customer.card == {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034}
    at_stripe = stripe.account.get("customer", customer.customer_id)
    assert at_stripe["email"] == admin.email
    assert at_stripe["invoice_settings"]["default_payment_method"]
    assert len(stripe.account.of("subscription", customer=customer.customer_id)) == 1


def test_coming_back_twice_changes_nothing(admin, stripe):
    give_card(admin, stripe)
    (checkout,) = stripe.account.of("checkout.session")
    writes = [request for request in stripe.requests if request.method == "post"]
    again = admin.client.get(f"/payment/return?checkout={checkout['id']}", follow_redirects=True)
    assert "The card is saved." in again.get_data(as_text=True)
    repeated = [request for request in stripe.requests if request.method == "post"][len(writes) :]
    assert {request.idempotency_key for request in repeated} <= {
        request.idempotency_key for request in writes
    }
    assert len(stripe.account.of("subscription")) == len(stripe.account.of("customer")) == 1


def test_the_way_back_is_ours_and_carries_stripes_own_id(admin, stripe):
    checkout = session_id(admin.client.post("/payment/card?next=https://evil.example"))
    back = urlsplit(stripe.complete_checkout(checkout))
    assert f"{back.scheme}://{back.netloc}" == "http://127.0.0.1:8000"
    assert parse_qs(back.query) == {"checkout": [checkout]}


def test_coming_back_without_a_card_takes_none(admin, stripe):
    checkout = session_id(admin.client.post("/payment/card"))
    page = admin.client.get(f"/payment/return?checkout={checkout}", follow_redirects=True)
    assert "No card was given" in page.get_data(as_text=True)
    assert customer_of(admin).card is None


def test_a_made_up_session_is_nothing(admin, stripe):
    checkout = session_id(admin.client.post("/payment/card"))
    for name in ("", "cs_nothing", "../customers", f"{checkout}?x=1", f"{checkout}/expire", "é/%2e%2e"):
        answer = admin.client.get("/payment/return", query_string={"checkout": name})
        assert answer.status_code == 404, name
    assert customer_of(admin).card is None


def test_another_tenants_session_is_nothing(admin, other_admin, stripe):
    checkout = session_id(admin.client.post("/payment/card"))
    stripe.complete_checkout(checkout)
    session_id(other_admin.client.post("/payment/card"))
    assert other_admin.client.get(f"/payment/return?checkout={checkout}").status_code == 404
    assert customer_of(other_admin).card is None
    assert customer_of(admin).card is None


def test_a_card_changed_in_the_portal_is_the_one_that_is_shown(admin, stripe):
    give_card(admin, stripe)
    answer = admin.client.post("/payment/portal")
    assert urlsplit(answer.location).hostname == "billing.stripe.com"
    give_card(admin, stripe, "pm_card_mastercard")
    assert "Mastercard ending in 4444" in page_of(admin)
    log = admin.client.get("/audit").get_data(as_text=True)
    assert "mastercard ending in 4444" in log


@pytest.mark.parametrize("failure", [Failure.TIMEOUT_BEFORE, Failure.TIMEOUT_AFTER, Failure.BROKEN])
def test_while_stripe_does_not_answer_nothing_is_lost(admin, stripe, failure):
    stripe.failures.plan(failure, "/v1/customers")
    page = admin.client.post("/payment/card", follow_redirects=True).get_data(as_text=True)
    assert "Stripe does not answer just now" in page
    checkout = session_id(admin.client.post("/payment/card"))
    assert len(stripe.account.of("customer")) == 1

    stripe.complete_checkout(checkout)
    stripe.failures.plan(failure, "/v1/customers")
    page = admin.client.get(f"/payment/return?checkout={checkout}", follow_redirects=True)
    assert "Stripe does not answer just now" in page.get_data(as_text=True)
    page = admin.client.get(f"/payment/return?checkout={checkout}", follow_redirects=True)
    assert "The card is saved." in page.get_data(as_text=True)


def test_a_portal_that_was_never_set_up_says_so(admin, fake_stripe):
    session_id(admin.client.post("/payment/card"))
    page = admin.client.post("/payment/portal", follow_redirects=True).get_data(as_text=True)
    assert "Stripe refused this" in page


def test_finance_may_change_it_and_a_developer_does_not_see_it(admin, member, stripe):
    assert "Add a card" in page_of(member(Role.FINANCE))
    assert member(Role.DEVELOPER).client.get("/payment").status_code == 403


def test_the_page_may_lead_to_stripe_and_other_pages_may_not(admin, stripe):
    policy = admin.client.get("/payment").headers["Content-Security-Policy"]
    assert "form-action 'self' https://checkout.stripe.com https://billing.stripe.com;" in policy
    assert "stripe" not in admin.client.get("/invoices").headers["Content-Security-Policy"]


def test_two_tenants_have_a_customer_each(sign_in, stripe):
    people = [new_admin(sign_in), new_admin(sign_in)]
    for person in people:
        give_card(person, stripe)
    assert len({customer_of(person).customer_id for person in people}) == 2


@pytest.fixture
def code(stripe):
    """A promotion code of the operator's: ten percent off."""
    client = get_stripe_client()
    coupon = client.post("/v1/coupons", {"percent_off": 10, "duration": "forever"}, key="coupon")
    promotion = {"type": "coupon", "coupon": coupon["id"]}
    return client.post("/v1/promotion_codes", {"promotion": promotion, "code": "WELCOME"}, key="code")["code"]


def test_a_promotion_code_counts_for_the_subscription(admin, stripe, code):
    give_card(admin, stripe)
    answer = admin.client.post("/payment/promotion", data={"code": " welcome "}, follow_redirects=True)
    assert "counts from the next invoice on" in answer.get_data(as_text=True)
    (subscription,) = stripe.account.of("subscription")
    assert len(subscription["discounts"]) == 1
    assert "WELCOME" in admin.client.get("/audit").get_data(as_text=True)


def test_a_wrong_code_is_refused_where_it_was_typed(admin, stripe, code):
    give_card(admin, stripe)
    for wrong in ("", "nothing", "a b", "x" * 51, "../../v1"):
        answer = admin.client.post("/payment/promotion", data={"code": wrong})
        assert answer.status_code == 422, wrong
        assert "code-error" in answer.get_data(as_text=True), wrong
    assert stripe.account.of("subscription")[0]["discounts"] == []


def test_a_code_needs_a_card_first_and_stripe(admin, stripe, code):
    refused = admin.client.post("/payment/promotion", data={"code": code})
    assert refused.status_code == 422


def test_another_customers_code_is_nothing(admin, other_admin, stripe, code):
    for person in (admin, other_admin):
        give_card(person, stripe)
    stripe.account.of("promotion_code")[0]["customer"] = customer_of(admin).customer_id
    assert other_admin.client.post("/payment/promotion", data={"code": code}).status_code == 422
    assert admin.client.post("/payment/promotion", data={"code": code}).status_code == 303
