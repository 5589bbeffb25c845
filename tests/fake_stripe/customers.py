"""Customers and their tax ids."""

from tests.fake_stripe.account import Account, Object, in_range, merged_metadata, page
from tests.fake_stripe.routes import PAGE, answers
from tests.fake_stripe.subscriptions import end

_DETAILS = "name email description address phone tax_exempt preferred_locales metadata invoice_settings"


@answers("post", "/v1/customers", _DETAILS, "payment_method test_clock")
def create(account: Account, params: Object) -> Object:
    clock = params.get("test_clock")
    at = account.get("test_helpers.test_clock", clock, "test_clock")["frozen_time"] if clock else None
    customer = account.new(
        "customer",
        "cus",
        at,
        delinquent=False,
        balance=0,
        currency=None,
        invoice_settings={
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        invoice_prefix=f"FAKE{account.number('prefix'):04d}",
        next_invoice_sequence=1,
        tax_exempt="none",
        preferred_locales=[],
        test_clock=clock,
    )
    _change(account, customer, params)
    account.emit("customer.created", customer)
    return customer


@answers("get", "/v1/customers", PAGE, "email created test_clock")
def list_all(account: Account, params: Object) -> Object:
    found = account.of("customer", email=params.get("email"), test_clock=params.get("test_clock"))
    return page(
        [one for one in found if in_range(one["created"], params.get("created"))], "/v1/customers", params
    )


@answers("get", "/v1/customers/{customer}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    deleted = account.objects.get(key, {}).get("_deleted")
    if deleted:
        return {"id": key, "object": "customer", "deleted": True}
    return account.get("customer", key, "customer")


@answers("post", "/v1/customers/{customer}", _DETAILS)
def update(account: Account, params: Object, key: str) -> Object:
    customer = account.get("customer", key, "customer")
    _change(account, customer, params)
    account.emit("customer.updated", customer)
    return customer


@answers("delete", "/v1/customers/{customer}")
def delete(account: Account, _params: Object, key: str) -> Object:
    customer = account.get("customer", key, "customer")
    for subscription in account.of("subscription", customer=key):
        if subscription["status"] != "canceled":
            end(account, subscription)
    account.emit("customer.deleted", customer)
    customer["_deleted"] = True
    return {"id": key, "object": "customer", "deleted": True}


@answers("post", "/v1/customers/{customer}/tax_ids", "type value")
def create_tax_id(account: Account, params: Object, key: str) -> Object:
    customer = account.get("customer", key, "customer")
    values = {"type": params["type"], "value": params["value"], "customer": customer["id"], "country": "DE"}
    verification = {"status": "pending", "verified_address": None, "verified_name": None}
    tax_id = account.new("tax_id", "txi", **values, verification=verification, owner=None)
    account.emit("customer.tax_id.created", tax_id)
    return tax_id


@answers("get", "/v1/customers/{customer}/tax_ids", PAGE)
def list_tax_ids(account: Account, params: Object, key: str) -> Object:
    return page(account.of("tax_id", customer=key), f"/v1/customers/{key}/tax_ids", params)


def _change(account: Account, customer: Object, params: Object) -> None:
    for name in ("name", "email", "description", "phone", "tax_exempt", "preferred_locales"):
        if name in params:
            customer[name] = params[name] or None
    if "address" in params:
        blank = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
        customer["address"] = blank | params["address"] if params["address"] else None
    customer["metadata"] = merged_metadata(customer["metadata"], params.get("metadata"))
    default = params.get("invoice_settings", {}).get("default_payment_method", params.get("payment_method"))
    if default:
        account.get("payment_method", default, "invoice_settings[default_payment_method]")
        customer["invoice_settings"]["default_payment_method"] = default
