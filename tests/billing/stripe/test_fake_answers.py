"""Each operation that Stripe's stand-in models, asked once: the server itself holds every answer to the OpenAPI file."""

from tests.fake_stripe import openapi
from tests.fake_stripe.routes import modelled
from tests.fake_stripe.shop import DAY, FEBRUARY, HOUR, START, open_shop


def customers(shop):
    customer = shop.ids["customer"]
    path = f"/v1/customers/{customer}"
    shop.post(path, address={"city": "Berlin", "country": "DE"}, metadata={"tenant_id": "1"})
    shop.post(f"{path}/tax_ids", type="eu_vat", value="DE123456789")
    for part in ("", "/tax_ids", "/payment_methods"):
        shop.client.get(path + part)
    shop.client.get("/v1/customers", {"email": "ada@example.com"})
    other = shop.make("other customer", "/v1/customers", name="Gone")
    assert shop.client.delete(f"/v1/customers/{other}")["deleted"]
    assert shop.client.get(f"/v1/customers/{other}")["deleted"]


def cards(shop):
    card = shop.post("/v1/payment_methods/pm_card_mastercard/attach", customer=shop.ids["customer"])["id"]
    shop.client.get(f"/v1/payment_methods/{card}")
    assert shop.post(f"/v1/payment_methods/{card}/detach")["customer"] is None


def catalogue(shop):
    product, price = f"/v1/products/{shop.ids['product']}", f"/v1/prices/{shop.ids['price']}"
    shop.post(product, description="What models read", metadata={"plan": "starter"})
    shop.post(price, nickname="Half a cent")
    coupon = shop.make("coupon", "/v1/coupons", id="TEN", amount_off=1000, currency="usd")
    shop.make("code", "/v1/promotion_codes", promotion={"type": "coupon", "coupon": coupon})
    for path in (product, price, "/v1/products", "/v1/prices", f"/v1/coupons/{coupon}", "/v1/coupons"):
        shop.client.get(path)
    shop.client.get("/v1/promotion_codes")


def meters(shop):
    path = f"/v1/billing/meters/{shop.ids['meter']}"
    shop.use("10", "one", START)
    window = {"customer": shop.ids["customer"], "start_time": START, "end_time": START + HOUR}
    shop.client.get(f"{path}/event_summaries", window)
    assert shop.post(f"{path}/deactivate")["status"] == "inactive"
    assert shop.post(f"{path}/reactivate")["status"] == "active"
    shop.client.get(path)
    shop.client.get("/v1/billing/meters", {"status": "active"})


def pages(shop):
    page = {"mode": "setup", "customer": shop.ids["customer"], "currency": "usd", "success_url": "https://x/"}
    first = shop.make("checkout", "/v1/checkout/sessions", **page)
    shop.fake.complete_checkout(first)
    path = f"/v1/checkout/sessions/{first}"
    intent = shop.client.get(path, {"expand": ["setup_intent.payment_method"]})["setup_intent"]
    shop.client.get(f"/v1/setup_intents/{intent['id']}")
    second = shop.make("checkout", "/v1/checkout/sessions", **page)
    assert shop.post(f"/v1/checkout/sessions/{second}/expire")["status"] == "expired"
    shop.client.get("/v1/checkout/sessions", {"customer": shop.ids["customer"]})
    shop.post("/v1/billing_portal/configurations", features={"invoice_history": {"enabled": True}})
    shop.client.get("/v1/billing_portal/configurations", {"active": True})
    shop.post("/v1/billing_portal/sessions", customer=shop.ids["customer"])


def subscriptions(shop):
    path = f"/v1/subscriptions/{shop.ids['subscription']}"
    shop.post(path, description="Usage", metadata={"plan": "starter"})
    shop.client.get(path, {"expand": ["customer", "latest_invoice"]})
    shop.client.get("/v1/subscriptions", {"customer": shop.ids["customer"], "status": "all"})
    assert shop.client.delete(path)["status"] == "canceled"


def invoice(shop, amount=500):
    """The path of a new draft with one item."""
    customer = shop.ids["customer"]
    path = f"/v1/invoices/{shop.make('invoice', '/v1/invoices', customer=customer)}"
    shop.make("item", "/v1/invoiceitems", customer=customer, invoice=shop.ids["invoice"], amount=amount)
    return path


def invoices(shop):
    path = invoice(shop)
    item = f"/v1/invoiceitems/{shop.ids['item']}"
    shop.post(item, amount=700)
    shop.client.get(item)
    shop.client.get("/v1/invoiceitems", {"invoice": shop.ids["invoice"]})
    shop.post(path, description="By hand")
    shop.client.get(f"{path}/lines")
    shop.client.get("/v1/invoices", {"customer": shop.ids["customer"]})
    assert shop.post(f"{path}/finalize")["status"] == "open"
    assert shop.post(f"{path}/send")["status"] == "open"
    assert shop.post(f"{path}/mark_uncollectible")["status"] == "uncollectible"
    assert shop.post(f"{path}/void")["status"] == "void"
    path = invoice(shop)
    shop.client.delete(f"/v1/invoiceitems/{shop.ids['item']}")
    assert shop.client.delete(path)["deleted"]


def payments(shop):
    path = invoice(shop, 1000)
    assert shop.post(f"{path}/pay")["status"] == "paid"
    payment = shop.client.get(path, {"expand": ["payments"]})["payments"]["data"][0]
    intent = payment["payment"]["payment_intent"]
    shop.client.get(f"/v1/invoice_payments/{payment['id']}", {"expand": ["payment.payment_intent"]})
    shop.client.get("/v1/invoice_payments", {"invoice": shop.ids["invoice"]})
    shop.client.get(f"/v1/payment_intents/{intent}")
    refund = shop.make("refund", "/v1/refunds", payment_intent=intent, amount=100)
    shop.client.get(f"/v1/refunds/{refund}")
    shop.client.get("/v1/refunds", {"payment_intent": intent})


def credit_notes(shop):
    path = invoice(shop)
    shop.post(f"{path}/finalize")
    note = shop.make("note", "/v1/credit_notes", invoice=shop.ids["invoice"], amount=100)
    assert shop.client.get(path)["amount_remaining"] == 400
    assert shop.post(f"/v1/credit_notes/{note}/void")["status"] == "void"
    assert shop.client.get(path)["amount_remaining"] == 500
    shop.client.get(f"/v1/credit_notes/{note}")
    shop.client.get("/v1/credit_notes", {"invoice": shop.ids["invoice"]})


def events(shop):
    shop.use("1", "nowhere", START, event_name="nowhere")
    plain = shop.client.get("/v1/events", {"types": ["invoice.paid"], "limit": 1})["data"][0]
    shop.client.get(f"/v1/events/{plain['id']}")
    thin = shop.client.get("/v2/core/events")["data"][0]
    shop.client.get(f"/v2/core/events/{thin['id']}")


def clocks(shop):
    clock = shop.make("clock", "/v1/test_helpers/test_clocks", frozen_time=START)
    path = f"/v1/test_helpers/test_clocks/{clock}"
    shop.post(f"{path}/advance", frozen_time=FEBRUARY + DAY)
    shop.client.get(path)
    assert shop.client.delete(path)["deleted"]


def test_every_operation_that_is_modelled_answers_as_the_openapi_file_says():
    shop = open_shop()
    for part in (customers, cards, catalogue, meters, pages, subscriptions, invoices):
        part(shop)
    for part in (payments, credit_notes, events, clocks):
        part(shop)
    found = (openapi.find_operation(one.method, one.path) for one in shop.fake.requests)
    asked = {(operation.method, operation.path) for operation, _ in filter(None, found)}
    assert modelled() == asked
