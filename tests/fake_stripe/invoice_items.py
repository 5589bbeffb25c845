"""Invoice items: amounts of any sign that go on a draft, or wait for the customer's next invoice."""

from decimal import Decimal

from tests.fake_stripe.account import Account, Object, merged_metadata, page
from tests.fake_stripe.decimals import plain, whole
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.lines import pricing
from tests.fake_stripe.routes import PAGE, answers


@answers(
    "post",
    "/v1/invoiceitems",
    "customer invoice subscription amount currency description metadata period quantity",
    "unit_amount_decimal pricing discountable tax_behavior",
)
def create(account: Account, params: Object) -> Object:
    customer = account.get("customer", params.get("customer", ""), "customer")
    if "invoice" in params:
        _refuse_settled(account.get("invoice", params["invoice"], "invoice"))
    quantity = params.get("quantity", 1)
    price, unit = _unit_amount(account, params, quantity)
    now = account.now(customer)
    item = account.new(
        "invoiceitem",
        "ii",
        amount=params.get("amount", whole(unit * quantity)),
        currency=params.get("currency", price["currency"] if price else "usd"),
        customer=customer["id"],
        date=now,
        description=params.get("description"),
        discountable=params.get("discountable", True),
        discounts=[],
        invoice=params.get("invoice"),
        metadata=params.get("metadata", {}),
        period=params.get("period", {"start": now, "end": now}),
        pricing=pricing(price, unit) if price else None,
        quantity=quantity,
        quantity_decimal=str(quantity),
        tax_rates=[],
        test_clock=customer["test_clock"],
        _subscription=params.get("subscription"),
    )
    item.pop("created", None)
    item["net_amount"] = item["amount"]
    account.emit("invoiceitem.created", item)
    return item


def _unit_amount(account: Account, params: Object, quantity: int) -> tuple[Object | None, Decimal]:
    given = [name for name in ("amount", "unit_amount_decimal", "pricing") if name in params]
    if len(given) != 1:
        raise StripeFault.invalid("Give one of amount, unit_amount_decimal, pricing.", "amount")
    if given == ["pricing"]:
        price = account.get("price", params["pricing"]["price"], "pricing[price]")
        return price, Decimal(price["unit_amount_decimal"])
    if given == ["amount"]:
        if "quantity" in params:
            raise StripeFault.invalid("An amount has no quantity.", "quantity")
        return None, Decimal(params["amount"])
    return None, Decimal(plain(Decimal(params["unit_amount_decimal"])))


def _refuse_settled(invoice: Object) -> None:
    if invoice["status"] != "draft":
        raise StripeFault.invalid("This invoice is no longer editable.", "invoice", "invoice_not_editable")


@answers("get", "/v1/invoiceitems", PAGE, "customer invoice pending")
def list_all(account: Account, params: Object) -> Object:
    found = account.of("invoiceitem", customer=params.get("customer"), invoice=params.get("invoice"))
    if "pending" in params:
        found = [one for one in found if (one["invoice"] is None) == params["pending"]]
    return page(found, "/v1/invoiceitems", params)


@answers("get", "/v1/invoiceitems/{invoiceitem}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    return account.get("invoiceitem", key)


@answers("post", "/v1/invoiceitems/{invoiceitem}", "amount description metadata")
def update(account: Account, params: Object, key: str) -> Object:
    item = account.get("invoiceitem", key)
    if item["invoice"]:
        _refuse_settled(account.objects[item["invoice"]])
    item["metadata"] = merged_metadata(item["metadata"], params.pop("metadata", None))
    item.update(params)
    item["net_amount"] = item["amount"]
    return item


@answers("delete", "/v1/invoiceitems/{invoiceitem}")
def delete(account: Account, _params: Object, key: str) -> Object:
    item = account.get("invoiceitem", key)
    if item["invoice"]:
        _refuse_settled(account.objects[item["invoice"]])
    account.emit("invoiceitem.deleted", item)
    del account.objects[key]
    return {"id": key, "object": "invoiceitem", "deleted": True}
