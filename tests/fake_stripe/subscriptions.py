"""Subscriptions: what they bill at each turn of their period."""

import calendar
from datetime import UTC, datetime

from tests.fake_stripe.account import Account, Object, a_list, in_range, merged_metadata, page, shown
from tests.fake_stripe.catalogue import make_discounts
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import PAGE, answers
from tests.fake_stripe.settling import finalise, make_draft, take_pending_items
from tests.fake_stripe.totals import refresh

_SETTINGS = (
    "automatic_tax cancel_at_period_end default_payment_method description discounts metadata off_session"
)


@answers(
    "post",
    "/v1/subscriptions",
    "customer items currency billing_cycle_anchor billing_mode collection_method proration_behavior",
    "payment_behavior",
    _SETTINGS,
)
def create(account: Account, params: Object) -> Object:
    customer = account.get("customer", params.get("customer", ""), "customer")
    at = account.now(customer)
    anchor = params.get("billing_cycle_anchor", at)
    if anchor < at:
        raise StripeFault.invalid("billing_cycle_anchor cannot be in the past.", "billing_cycle_anchor")
    if anchor > at and params.get("proration_behavior") != "none":
        raise StripeFault.not_modelled("prorations")
    subscription = account.new(
        "subscription",
        "sub",
        at,
        automatic_tax={"enabled": False, "disabled_reason": None, "liability": None},
        billing_cycle_anchor=anchor,
        billing_mode=params.get("billing_mode", {"type": "flexible"}),
        currency="usd",
        customer=customer["id"],
        items=a_list([], "/v1/subscription_items"),
        start_date=at,
        status="active",
        test_clock=customer["test_clock"],
        _period=(at, anchor if anchor > at else add_month(at, at)),
    )
    subscription["items"]["url"] += f"?subscription={subscription['id']}"
    _put_items(account, subscription, params.get("items", []), at)
    if not subscription["items"]["data"]:
        raise StripeFault.invalid("Missing required param: items.", "items", "parameter_missing")
    prices = [item["price"] for item in subscription["items"]["data"]]
    if len({price["currency"] for price in prices}) > 1:
        raise StripeFault.invalid("All prices have one currency.", "items")
    subscription["currency"] = prices[0]["currency"]
    _change(account, subscription, params)
    account.emit("customer.subscription.created", subscription)
    if anchor == at:
        _bill_first(account, subscription, customer)
    return subscription


def _bill_first(account: Account, subscription: Object, customer: Object) -> None:
    invoice = _draft(account, subscription, customer, "subscription_create", None)
    invoice["auto_advance"] = True
    finalise(account, invoice)


@answers("get", "/v1/subscriptions/{subscription_exposed_id}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    return account.get("subscription", key)


@answers("get", "/v1/subscriptions", PAGE, "customer status created price")
def list_all(account: Account, params: Object) -> Object:
    status = params.get("status")
    found = [
        one
        for one in account.of("subscription", customer=params.get("customer"))
        if in_range(one["created"], params.get("created"))
        and (status == "all" or one["status"] == status or (status is None and one["status"] != "canceled"))
    ]
    return page(found, "/v1/subscriptions", params)


@answers(
    "post",
    "/v1/subscriptions/{subscription_exposed_id}",
    "items proration_behavior payment_behavior",
    _SETTINGS,
)
def update(account: Account, params: Object, key: str) -> Object:
    subscription = account.get("subscription", key)
    if subscription["status"] == "canceled":
        raise StripeFault.missing("subscription", key)
    if "items" in params and params.get("proration_behavior") != "none":
        raise StripeFault.not_modelled("prorations")
    _put_items(account, subscription, params.get("items", []), account.now(subscription))
    _change(account, subscription, params)
    account.emit("customer.subscription.updated", subscription)
    return subscription


@answers("delete", "/v1/subscriptions/{subscription_exposed_id}", "invoice_now prorate")
def cancel(account: Account, params: Object, key: str) -> Object:
    subscription = account.get("subscription", key)
    if params.get("prorate"):
        raise StripeFault.not_modelled("prorations")
    at = account.now(subscription)
    if params.get("invoice_now"):
        customer = account.objects[subscription["customer"]]
        start, _ = subscription["_period"]
        subscription["_period"] = (start, at)
        _draft(account, subscription, customer, "subscription_update", (start, at), renews=False)
    end(account, subscription)
    return subscription


def end(account: Account, subscription: Object) -> None:
    """A subscription's end."""
    at = account.now(subscription)
    subscription.update(status="canceled", canceled_at=at, ended_at=at)
    account.emit("customer.subscription.deleted", subscription)


def turn(account: Account, subscription: Object) -> None:
    """The end of a period: a draft for what was used in it, and the next one's fees in advance."""
    past = subscription["_period"]
    customer = account.objects[subscription["customer"]]
    renews = not subscription["cancel_at_period_end"]
    anchor = subscription["billing_cycle_anchor"]
    subscription["_period"] = (past[1], add_month(past[1], anchor))
    _show_period(subscription)
    _draft(account, subscription, customer, "subscription_cycle", past, renews=renews)
    for item in subscription["items"]["data"]:
        item["_since"] = past[1]
    if renews:
        account.emit("customer.subscription.updated", subscription)
    else:
        end(account, subscription)


def _draft(
    account: Account,
    subscription: Object,
    customer: Object,
    reason: str,
    past: tuple[int, int] | None,
    *,
    renews: bool = True,
) -> Object:
    """The draft for the period that is over, where there is one, and in advance for the one that begins."""
    at = account.now(subscription)
    details = {"subscription": subscription["id"], "metadata": subscription["metadata"]}
    begins, ends = past or (at, at)
    invoice = make_draft(
        account,
        customer,
        at,
        auto_advance=True,
        automatic_tax={**subscription["automatic_tax"], "provider": None, "status": None},
        billing_reason=reason,
        currency=subscription["currency"],
        discounts=list(subscription["discounts"]),
        parent={"type": "subscription_details", "subscription_details": details, "quote_details": None},
        period_start=begins,
        period_end=ends,
        _parts=_parts(subscription, past, renews=renews),
    )
    take_pending_items(account, invoice)
    subscription["latest_invoice"] = invoice["id"]
    refresh(account, invoice)
    account.emit("invoice.created", invoice)
    return invoice


def _parts(subscription: Object, past: tuple[int, int] | None, *, renews: bool) -> list[Object]:
    parts = []
    for item in subscription["items"]["data"]:
        if item["price"]["recurring"]["usage_type"] == "licensed":
            if renews:
                parts.append({"item": item, "period": subscription["_period"]})
            continue
        # Before the first period is over, a metered price shows with nothing used yet.
        start, stop = past or (subscription["_period"][0], subscription["_period"][0])
        counted = (max(start, item["_since"]) if past else start, stop)
        parts.append({"item": item, "period": (start, stop), "counted": counted})
    return parts


def _put_items(account: Account, subscription: Object, given: list[Object], at: int) -> None:
    items = subscription["items"]["data"]
    for one in given:
        strange = one.keys() - {"id", "price", "quantity", "deleted", "metadata"}
        if strange:
            raise StripeFault.not_modelled(f"{', '.join(sorted(strange))} of a subscription's item")
        old = next((item for item in items if item["id"] == one.get("id")), None)
        if "id" in one and old is None:
            raise StripeFault.missing("subscription item", one["id"], "items[0][id]")
        if old is not None and one.get("deleted"):
            items.remove(old)
            continue
        _put_item(account, subscription, old, one, at)
    _show_period(subscription)


def _put_item(account: Account, subscription: Object, old: Object | None, given: Object, at: int) -> None:
    items = subscription["items"]["data"]
    price = account.get("price", given["price"], "items[0][price]") if "price" in given else None
    if price is not None and (price["type"] != "recurring" or not price["active"]):
        raise StripeFault.invalid("A subscription's price is recurring and active.", "items[0][price]")
    if price is not None and any(item["price"]["id"] == price["id"] for item in items if item is not old):
        raise StripeFault.invalid("A price can be in a subscription once.", "items[0][price]")
    if old is None:
        if price is None:
            raise StripeFault.invalid("Missing required param: items[0][price].", "items[0][price]")
        old = account.new("subscription_item", "si", at, subscription=subscription["id"], _since=at)
        items.append(old)
    elif price is not None and price["id"] != old["price"]["id"]:
        # docs.stripe.com, manage billing setup: usage before the change is not billed without proration.
        old["_since"] = at
    if price is not None:
        old["price"] = shown(price)
    if old["price"]["recurring"]["usage_type"] == "licensed":
        old["quantity"] = given.get("quantity", old.get("quantity", 1))
    elif "quantity" in given:
        raise StripeFault.invalid("A metered price has no quantity.", "items[0][quantity]")
    old["metadata"] = merged_metadata(old["metadata"], given.get("metadata"))


def _show_period(subscription: Object) -> None:
    for item in subscription["items"]["data"]:
        item["current_period_start"], item["current_period_end"] = subscription["_period"]


def _change(account: Account, subscription: Object, params: Object) -> None:
    for name in ("cancel_at_period_end", "default_payment_method", "description"):
        if name in params:
            subscription[name] = params[name] if name == "cancel_at_period_end" else params[name] or None
    if "automatic_tax" in params:
        subscription["automatic_tax"]["enabled"] = params["automatic_tax"]["enabled"]
    if "discounts" in params:
        subscription["discounts"] = make_discounts(account, params["discounts"], subscription)
    subscription["metadata"] = merged_metadata(subscription["metadata"], params.get("metadata"))


def add_month(at: int, anchor: int) -> int:
    """A month later, on the anchor's day where that month has it, else on its last."""
    moment, wanted = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(anchor, UTC)
    year, month = moment.year + moment.month // 12, moment.month % 12 + 1
    day = min(wanted.day, calendar.monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())
