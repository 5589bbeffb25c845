"""Stripe's stand-in in what the contract test does not ask: time, failures of cards, meters' reports, and its own honesty."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from billing.stripe.client import StripeRefused, StripeUnavailable
from tests.fake_stripe import openapi
from tests.fake_stripe.account import Account
from tests.fake_stripe.catalogue import create_product
from tests.fake_stripe.routes import Route, _routes
from tests.fake_stripe.server import WrongAnswer
from tests.fake_stripe.shop import DAY, FEBRUARY, HOUR, START, open_shop

MARCH = FEBRUARY + 28 * DAY


@pytest.fixture
def shop():
    return open_shop()


def test_a_month_by_itself_from_the_draft_to_the_charge(shop):
    shop.use("3001", "one", START)
    shop.fake.travel(FEBRUARY + 60)
    draft = shop.invoice()
    assert (draft["status"], draft["total"], draft["billing_reason"]) == ("draft", 1501, "subscription_cycle")
    assert (draft["period_start"], draft["period_end"]) == (START, FEBRUARY)
    shop.fake.travel(FEBRUARY + HOUR + 60)
    paid = shop.invoice()
    assert (paid["status"], paid["amount_paid"], paid["attempt_count"]) == ("paid", 1501, 1)
    shop.fake.travel(MARCH + 2 * HOUR)
    assert (shop.invoice()["period_start"], shop.invoice()["period_end"]) == (FEBRUARY, MARCH)
    wanted = ["invoice.created", "invoice.finalized", "payment_intent.succeeded", "invoice.paid"]
    happened = [kind for kind in shop.event_types() if kind in wanted]
    assert happened == [*wanted, "invoice.created", "invoice.finalized", "invoice.paid"]


def test_usage_that_comes_while_its_invoice_is_a_draft_is_on_it_and_later_usage_is_on_none(shop):
    shop.fake.travel(FEBRUARY + 60)
    shop.use("100", "late", FEBRUARY - 60)
    assert shop.invoice()["total"] == 50
    shop.fake.travel(FEBRUARY + 2 * HOUR)
    shop.use("100", "too late", FEBRUARY - 60)
    assert shop.invoice()["total"] == 50
    shop.fake.travel(MARCH + 60)
    assert shop.invoice()["total"] == 0


def test_a_failing_card_is_tried_again_until_it_is_given_up(shop):
    shop.fake.replace_card(shop.ids["customer"], "pm_card_chargeCustomerFail")
    shop.use("100", "one", START)
    shop.fake.travel(FEBRUARY + 2 * HOUR)
    failed = shop.invoice()
    assert (failed["status"], failed["attempt_count"]) == ("open", 1)
    assert failed["next_payment_attempt"] == FEBRUARY + HOUR + 3 * DAY
    assert shop.client.get(f"/v1/subscriptions/{shop.ids['subscription']}")["status"] == "past_due"
    shop.fake.travel(FEBRUARY + 27 * DAY)
    assert (shop.invoice()["attempt_count"], shop.invoice()["next_payment_attempt"]) == (4, None)
    assert shop.event_types().count("invoice.payment_failed") == 4

    shop.fake.replace_card(shop.ids["customer"], "pm_card_visa")
    paid = shop.post(f"/v1/invoices/{failed['id']}/pay")
    assert (paid["status"], paid["amount_paid"]) == ("paid", 50)
    assert shop.client.get(f"/v1/subscriptions/{shop.ids['subscription']}")["status"] == "active"


def test_a_price_changed_within_the_month_leaves_the_usage_before_it_out(shop):
    shop.use("100", "before", START)
    meter = {"interval": "month", "usage_type": "metered", "meter": shop.ids["meter"]}
    price = shop.make(
        "dearer", "/v1/prices", product=shop.ids["product"], currency="usd", unit_amount=1, recurring=meter
    )
    path = f"/v1/subscriptions/{shop.ids['subscription']}"
    item = shop.client.get(path)["items"]["data"][0]["id"]
    shop.fake.travel(START + DAY)
    shop.post(path, items=[{"id": item, "price": price}], proration_behavior="none")
    shop.use("7", "after", START + DAY)
    shop.fake.travel(FEBRUARY + 60)
    assert [line["amount"] for line in shop.invoice()["lines"]["data"]] == [7]


def test_a_licensed_price_is_charged_in_advance(shop):
    price = shop.make(
        "fee",
        "/v1/prices",
        product=shop.ids["product"],
        currency="usd",
        unit_amount=2900,
        recurring={"interval": "month"},
    )
    shop.make("fees", "/v1/subscriptions", customer=shop.ids["customer"], items=[{"price": price}])
    first = shop.invoice()
    assert (first["billing_reason"], first["amount_due"], first["status"]) == (
        "subscription_create",
        2900,
        "open",
    )
    shop.fake.travel(START)
    assert shop.invoice()["status"] == "paid"


def test_discounts_and_tax_come_after_the_lines():
    shop = open_shop(automatic_tax={"enabled": True})
    shop.fake.account.tax_basis_points = 1900
    coupon = shop.make("coupon", "/v1/coupons", percent_off=10, duration="forever")
    code = shop.make(
        "code", "/v1/promotion_codes", promotion={"type": "coupon", "coupon": coupon}, code="WELCOME"
    )
    (found,) = shop.client.each("/v1/promotion_codes", {"code": "welcome", "active": True})
    assert found["id"] == code
    path = f"/v1/subscriptions/{shop.ids['subscription']}"
    shop.post(path, discounts=[{"promotion_code": code}])
    shop.use("2000", "one", START)
    shop.fake.travel(FEBRUARY + 60)
    invoice = shop.invoice()
    assert (invoice["subtotal"], invoice["total_excluding_tax"], invoice["total"]) == (1000, 900, 1071)
    assert [one["amount"] for one in invoice["total_discount_amounts"]] == [100]
    assert [one["amount"] for one in invoice["total_taxes"]] == [171]


def test_a_credit_note_on_an_open_invoice_leaves_less_to_pay(shop):
    shop.fake.replace_card(shop.ids["customer"], "pm_card_chargeCustomerFail")
    shop.use("1000", "one", START)
    shop.fake.travel(FEBRUARY + 2 * HOUR)
    invoice = shop.invoice()["id"]
    shop.post("/v1/credit_notes", invoice=invoice, amount=200)
    assert (shop.invoice()["amount_remaining"], shop.invoice()["total"]) == (300, 500)
    with pytest.raises(StripeRefused):
        shop.post("/v1/credit_notes", invoice=invoice, amount=301)
    shop.post("/v1/credit_notes", invoice=invoice, amount=300)
    assert shop.invoice()["status"] == "paid"


def test_what_is_less_than_nothing_is_kept_for_the_next_invoice(shop):
    invoice = shop.make("credit", "/v1/invoices", customer=shop.ids["customer"])
    shop.post("/v1/invoiceitems", customer=shop.ids["customer"], invoice=invoice, amount=-300, currency="usd")
    assert shop.post(f"/v1/invoices/{invoice}/finalize")["status"] == "paid"
    shop.use("1000", "one", START)
    shop.fake.travel(FEBRUARY + 2 * HOUR)
    assert (shop.invoice()["total"], shop.invoice()["amount_paid"]) == (500, 200)


@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        ({"event_name": "tokenz"}, "no_meter_found", "no_meter"),
        ({"payload": {"value": "1"}}, "error_report_triggered", "meter_event_no_customer_defined"),
        (
            {"payload": {"value": "1", "stripe_customer_id": "cus_nobody"}},
            "error_report_triggered",
            "meter_event_customer_not_found",
        ),
        ({"value": "1.5"}, "error_report_triggered", "meter_event_invalid_value"),
    ],
)
def test_usage_that_does_not_count_is_answered_well_and_reported_later(shop, event, kind, code):
    shop.fake.account.holds_meter_events = True
    shop.use(event.pop("value", "1"), "one", START, **event)
    assert "v1.billing.meter." not in " ".join(shop.event_types())
    shop.fake.count_meter_events()
    report = shop.client.get(f"/v2/core/events/{shop.fake.account.events[-1]['id']}")
    assert report["type"] == f"v1.billing.meter.{kind}"
    (found,) = report["data"]["reason"]["error_types"]
    assert found["code"] == code
    assert found["sample_errors"][0]["request"]["identifier"].startswith("test-")
    assert [one["id"] for one in shop.client.get("/v2/core/events")["data"]] == [report["id"]]


def test_two_calls_at_once_for_a_customer_and_meter_are_one_too_many(shop):
    entered, leave = threading.Event(), threading.Event()

    def hold_up(_path):
        if not entered.is_set():
            entered.set()
            assert leave.wait(10)

    shop.fake.under_way = hold_up
    with ThreadPoolExecutor() as pool:
        first = pool.submit(shop.use, "1", "one", START)
        assert entered.wait(10)
        with pytest.raises(StripeUnavailable):
            shop.use("1", "two", START)
        leave.set()
        assert first.result()["identifier"] == "one"
    assert shop.use("1", "two", START)["identifier"] == "two"


def test_an_identifier_is_good_again_after_a_day(shop):
    shop.use("1", "one", START)
    shop.fake.travel(START + DAY - 1)
    with pytest.raises(StripeRefused, match="already exists"):
        shop.use("1", "one", START)
    shop.fake.travel(START + DAY)
    shop.use("1", "one", START)
    shop.fake.travel(FEBRUARY + 60)
    assert shop.invoice()["lines"]["data"][0]["quantity"] == 2


def test_summaries_are_by_the_hour(shop):
    shop.fake.travel(START + DAY)
    shop.use("3", "one", START)
    shop.use("4", "two", START + HOUR)
    found = shop.client.each(
        f"/v1/billing/meters/{shop.ids['meter']}/event_summaries",
        {
            "customer": shop.ids["customer"],
            "start_time": START,
            "end_time": START + 3 * HOUR,
            "value_grouping_window": "hour",
        },
    )
    assert {one["start_time"]: one["aggregated_value"] for one in found} == {START: 3, START + HOUR: 4}


def test_a_test_clock_has_a_time_of_its_own(shop):
    clock = shop.make("clock", "/v1/test_helpers/test_clocks", frozen_time=START)
    customer = shop.make("other", "/v1/customers", test_clock=clock)
    items = [{"price": shop.ids["price"]}]
    shop.make("clocked", "/v1/subscriptions", customer=customer, items=items)
    shop.post(f"/v1/test_helpers/test_clocks/{clock}/advance", frozen_time=FEBRUARY + 20 * DAY)
    reasons = [one["billing_reason"] for one in shop.client.each("/v1/invoices", {"customer": customer})]
    assert reasons == ["subscription_cycle", "subscription_create"]
    assert shop.fake.account.now() == START


def test_a_parameter_that_is_not_modelled_is_not_passed_over(shop):
    with pytest.raises(StripeRefused, match="Not modelled: trial_end"):
        shop.post(
            "/v1/subscriptions",
            customer=shop.ids["customer"],
            items=[{"price": shop.ids["price"]}],
            trial_end="now",
        )


def test_an_answer_that_stripe_would_not_give_fails_the_test(shop, monkeypatch):
    def misspelt(account: Account, params: dict[str, object]) -> dict[str, object]:
        return {**create_product(account, params), "nmae": "Tokens"}

    known = frozenset({"name"})
    monkeypatch.setitem(_routes, ("post", "/v1/products"), Route(misspelt, known))
    with pytest.raises(WrongAnswer, match=r"answer\.nmae: unknown"):
        shop.post("/v1/products", name="Tokens")


def test_nested_objects_of_answers_are_closed(shop):
    invoice = shop.client.get("/v1/invoices")["data"] or [
        shop.post("/v1/invoices", customer=shop.ids["customer"])
    ]
    assert openapi.problems(openapi.named("invoice"), invoice[0]) == []
    invoice[0]["status_transitions"]["payed_at"] = 1
    assert openapi.problems(openapi.named("invoice"), invoice[0]) == [
        "answer.status_transitions.payed_at: unknown"
    ]
