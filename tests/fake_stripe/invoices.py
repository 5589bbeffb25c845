"""What may be asked of invoices."""

from tests.fake_stripe.account import Account, Object, in_range, merged_metadata, page
from tests.fake_stripe.catalogue import make_discounts
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import PAGE, answers
from tests.fake_stripe.settling import (
    DAY,
    attempt,
    finalise,
    give_up,
    make_draft,
    set_auto_advance,
    settle,
    take_pending_items,
)
from tests.fake_stripe.totals import refresh


def _get(account: Account, key: str) -> Object:
    invoice = account.get("invoice", key, "invoice")
    refresh(account, invoice)
    invoice["_payments"] = page(account.of("invoice_payment", invoice=key), "/v1/invoice_payments", {})
    return invoice


@answers(
    "post",
    "/v1/invoices",
    "customer auto_advance automatic_tax collection_method currency days_until_due default_payment_method",
    "description discounts metadata pending_invoice_items_behavior",
)
def create(account: Account, params: Object) -> Object:
    customer = account.get("customer", params.get("customer", ""), "customer")
    at = account.now(customer)
    invoice = make_draft(
        account,
        customer,
        at,
        auto_advance=params.get("auto_advance", False),
        collection_method=params.get("collection_method", "charge_automatically"),
        currency=params.get("currency", customer["currency"] or "usd"),
    )
    if params.get("pending_invoice_items_behavior") == "include":
        take_pending_items(account, invoice)
    if invoice["collection_method"] == "send_invoice":
        if "days_until_due" not in params:
            raise StripeFault.invalid("Give days_until_due.", "days_until_due", "parameter_missing")
        invoice["due_date"] = at + params["days_until_due"] * DAY
    invoice["discounts"] = make_discounts(account, params.get("discounts", []), invoice)
    _change(account, invoice, params)
    refresh(account, invoice)
    account.emit("invoice.created", invoice)
    return invoice


@answers("get", "/v1/invoices", PAGE, "customer status subscription created collection_method")
def list_all(account: Account, params: Object) -> Object:
    wanted = {name: params.get(name) for name in ("customer", "status", "collection_method")}
    subscription = params.get("subscription")
    found = [
        _get(account, one["id"])
        for one in account.of("invoice", **wanted)
        if in_range(one["created"], params.get("created"))
        and (subscription is None or _subscription_id(one) == subscription)
    ]
    return page(found, "/v1/invoices", params)


def _subscription_id(invoice: Object) -> str | None:
    return invoice["parent"]["subscription_details"]["subscription"] if invoice["parent"] else None


@answers("get", "/v1/invoices/{invoice}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    return _get(account, key)


@answers("get", "/v1/invoices/{invoice}/lines", PAGE)
def list_lines(account: Account, params: Object, key: str) -> Object:
    lines = _get(account, key)["lines"]["data"]
    return page(lines[::-1], f"/v1/invoices/{key}/lines", params)


@answers(
    "post",
    "/v1/invoices/{invoice}",
    "auto_advance automatic_tax default_payment_method description discounts metadata",
)
def update(account: Account, params: Object, key: str) -> Object:
    invoice = _get(account, key)
    if invoice["status"] != "draft" and params.keys() - {"auto_advance", "metadata", "description"}:
        raise StripeFault.invalid("This invoice is no longer editable.", "invoice", "invoice_not_editable")
    if "auto_advance" in params:
        set_auto_advance(account, invoice, on=params["auto_advance"])
    if "discounts" in params:
        invoice["discounts"] = make_discounts(account, params["discounts"], invoice)
    _change(account, invoice, params)
    refresh(account, invoice)
    account.emit("invoice.updated", invoice)
    return invoice


def _change(account: Account, invoice: Object, params: Object) -> None:
    for name in ("default_payment_method", "description"):
        if name in params:
            invoice[name] = params[name] or None
    if "automatic_tax" in params:
        invoice["automatic_tax"]["enabled"] = params["automatic_tax"]["enabled"]
    invoice["metadata"] = merged_metadata(invoice["metadata"], params.get("metadata"))


@answers("delete", "/v1/invoices/{invoice}")
def delete(account: Account, _params: Object, key: str) -> Object:
    invoice = account.get("invoice", key, "invoice")
    if invoice["status"] != "draft" or invoice["parent"]:
        raise StripeFault.invalid("Only drafts that are no subscription's can be deleted.", "invoice")
    account.emit("invoice.deleted", invoice)
    del account.objects[key]
    return {"id": key, "object": "invoice", "deleted": True}


@answers("post", "/v1/invoices/{invoice}/finalize", "auto_advance")
def finalize(account: Account, params: Object, key: str) -> Object:
    invoice = _get(account, key)
    if "auto_advance" in params:
        invoice["auto_advance"] = params["auto_advance"]
    finalise(account, invoice)
    return invoice


@answers("post", "/v1/invoices/{invoice}/pay", "paid_out_of_band payment_method off_session")
def pay(account: Account, params: Object, key: str) -> Object:
    invoice = _get(account, key)
    if invoice["status"] == "draft":
        finalise(account, invoice)
    if invoice["status"] not in {"open", "uncollectible"}:
        message = "Invoice is already paid." if invoice["status"] == "paid" else "Invoice cannot be paid."
        raise StripeFault.invalid(message, "invoice")
    if params.get("paid_out_of_band"):
        settle(account, invoice, out_of_band=True)
    else:
        attempt(account, invoice, params.get("payment_method"))
    return _get(account, key)


@answers("post", "/v1/invoices/{invoice}/void")
def void(account: Account, _params: Object, key: str) -> Object:
    invoice = _get(account, key)
    give_up(account, invoice, "void", "invoice.voided")
    return invoice


@answers("post", "/v1/invoices/{invoice}/mark_uncollectible")
def mark_uncollectible(account: Account, _params: Object, key: str) -> Object:
    invoice = _get(account, key)
    give_up(account, invoice, "uncollectible", "invoice.marked_uncollectible")
    return invoice


@answers("post", "/v1/invoices/{invoice}/send")
def send(account: Account, _params: Object, key: str) -> Object:
    invoice = _get(account, key)
    if invoice["status"] == "draft":
        finalise(account, invoice)
    account.emit("invoice.sent", invoice)
    return invoice
