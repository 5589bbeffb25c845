"""Products, prices, coupons and promotion codes."""

from decimal import Decimal

from tests.fake_stripe.account import Account, Object, merged_metadata, page
from tests.fake_stripe.decimals import amount_fields, read_amount
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import PAGE, answers

_RECURRING = {"interval_count": 1, "meter": None, "usage_type": "licensed"}


@answers(
    "post", "/v1/products", "id name description active metadata unit_label statement_descriptor tax_code"
)
def create_product(account: Account, params: Object) -> Object:
    key = params.pop("id", None)
    if key in account.objects:
        raise StripeFault.invalid("Product already exists.", "id", "resource_already_exists")
    defaults: Object = {"active": True, "images": [], "marketing_features": []}
    product = account.new("product", "prod", **{**defaults, **params}, updated=account.now())
    if key:
        account.objects[key] = account.objects.pop(product["id"])
        product["id"] = key
    account.emit("product.created", product)
    return product


@answers("post", "/v1/products/{id}", "name description active metadata unit_label tax_code")
def update_product(account: Account, params: Object, key: str) -> Object:
    product = account.get("product", key)
    metadata = merged_metadata(product["metadata"], params.pop("metadata", None))
    product.update(params, metadata=metadata, updated=account.now())
    account.emit("product.updated", product)
    return product


@answers("get", "/v1/products/{id}")
def retrieve_product(account: Account, _params: Object, key: str) -> Object:
    return account.get("product", key)


@answers("get", "/v1/products", PAGE, "active")
def list_products(account: Account, params: Object) -> Object:
    return page(account.of("product", active=params.get("active")), "/v1/products", params)


@answers(
    "post",
    "/v1/prices",
    "active billing_scheme currency lookup_key metadata nickname product recurring tax_behavior",
    "tiers tiers_mode unit_amount unit_amount_decimal",
)
def create_price(account: Account, params: Object) -> Object:
    account.get("product", params.get("product", ""), "product")
    scheme = params.get("billing_scheme", "per_unit")
    amount = read_amount(params, "unit_amount")
    if (scheme == "per_unit") == (amount is None):
        raise StripeFault.invalid("A price has a unit amount or tiers.", "unit_amount", "parameter_missing")
    if amount is not None and amount < 0:
        raise StripeFault.invalid("Invalid non-negative integer", "unit_amount", "parameter_invalid_integer")
    key = params.get("lookup_key")
    if key and account.of("price", lookup_key=key):
        raise StripeFault.invalid(f"A price already uses that lookup key ({key}).", "lookup_key")
    recurring = _read_recurring(account, params["recurring"]) if "recurring" in params else None
    price = account.new(
        "price",
        "price",
        active=params.get("active", True),
        billing_scheme=scheme,
        currency=params["currency"],
        lookup_key=key,
        metadata=params.get("metadata", {}),
        nickname=params.get("nickname"),
        product=params["product"],
        recurring=recurring,
        tax_behavior=params.get("tax_behavior", "unspecified"),
        tiers_mode=params.get("tiers_mode"),
        type="recurring" if recurring else "one_time",
        **amount_fields("unit_amount", amount),
    )
    if scheme == "tiered":
        price["_tiers"] = _read_tiers(params)
    account.emit("price.created", price)
    return price


def _read_recurring(account: Account, given: Object) -> Object:
    recurring = {**_RECURRING, **given}
    if (recurring["usage_type"] == "metered") != (recurring["meter"] is not None):
        raise StripeFault.invalid("Metered prices are backed by a meter.", "recurring[meter]")
    if recurring["meter"] and account.get("billing.meter", recurring["meter"])["status"] != "active":
        raise StripeFault.invalid("The meter is not active.", "recurring[meter]")
    return recurring


def _read_tiers(params: Object) -> list[Object]:
    if "tiers" not in params or "tiers_mode" not in params:
        raise StripeFault.invalid("A tiered price has tiers and a mode.", "tiers", "parameter_missing")
    tiers = []
    for given in params["tiers"]:
        unit, flat = read_amount(given, "unit_amount"), read_amount(given, "flat_amount")
        if unit is None and flat is None:
            raise StripeFault.invalid("A tier has an amount.", "tiers", "parameter_missing")
        up_to = None if given["up_to"] == "inf" else given["up_to"]
        tiers.append(
            {"up_to": up_to, **amount_fields("unit_amount", unit), **amount_fields("flat_amount", flat)}
        )
    bounds = [tier["up_to"] for tier in tiers]
    if bounds[-1] is not None or None in bounds[:-1] or bounds[:-1] != sorted(set(bounds[:-1])):
        raise StripeFault.invalid("Tiers ascend, and the last one's up_to is inf.", "tiers")
    return tiers


@answers("post", "/v1/prices/{price}", "active metadata nickname lookup_key tax_behavior")
def update_price(account: Account, params: Object, key: str) -> Object:
    price = account.get("price", key, "price")
    metadata = merged_metadata(price["metadata"], params.pop("metadata", None))
    price.update(params, metadata=metadata)
    account.emit("price.updated", price)
    return price


@answers("get", "/v1/prices/{price}")
def retrieve_price(account: Account, _params: Object, key: str) -> Object:
    return account.get("price", key, "price")


@answers("get", "/v1/prices", PAGE, "active currency lookup_keys product type")
def list_prices(account: Account, params: Object) -> Object:
    wanted = {name: params.get(name) for name in ("active", "currency", "product", "type")}
    keys = params.get("lookup_keys")
    found = [one for one in account.of("price", **wanted) if keys is None or one["lookup_key"] in keys]
    return page(found, "/v1/prices", params)


@answers(
    "post",
    "/v1/coupons",
    "id amount_off currency duration duration_in_months max_redemptions metadata name percent_off redeem_by",
)
def create_coupon(account: Account, params: Object) -> Object:
    if ("percent_off" in params) == ("amount_off" in params):
        raise StripeFault.invalid("A coupon has percent_off or amount_off.", "percent_off")
    key = params.pop("id", None)
    coupon = account.new("coupon", "coupon", **{"duration": "once", **params}, valid=True, times_redeemed=0)
    if key:
        account.objects[key] = account.objects.pop(coupon["id"])
        coupon["id"] = key
    account.emit("coupon.created", coupon)
    return coupon


@answers("get", "/v1/coupons/{coupon}")
def retrieve_coupon(account: Account, _params: Object, key: str) -> Object:
    return account.get("coupon", key, "coupon")


@answers("get", "/v1/coupons", PAGE)
def list_coupons(account: Account, params: Object) -> Object:
    return page(account.of("coupon"), "/v1/coupons", params)


@answers("post", "/v1/promotion_codes", "active code customer expires_at max_redemptions metadata promotion")
def create_promotion_code(account: Account, params: Object) -> Object:
    promotion = params["promotion"]
    account.get("coupon", promotion.get("coupon", ""), "promotion[coupon]")
    values = {"active": True, "code": f"CODE{account.number('code')}", **params}
    made = account.new("promotion_code", "promo", **values, times_redeemed=0)
    account.emit("promotion_code.created", made)
    return made


@answers("get", "/v1/promotion_codes", PAGE, "active code coupon customer")
def list_promotion_codes(account: Account, params: Object) -> Object:
    wanted = {name: params.get(name) for name in ("active", "customer")}
    found = [
        one
        for one in account.of("promotion_code", **wanted)
        if str(params.get("code", one["code"])).lower() == one["code"].lower()
        and params.get("coupon") in {None, one["promotion"]["coupon"]}
    ]
    return page(found, "/v1/promotion_codes", params)


def make_discounts(account: Account, given: list[Object] | str, owner: Object) -> list[str]:
    """The discounts that a subscription or an invoice is given, by coupon or promotion code."""
    discounts = []
    for one in given or []:
        assert isinstance(one, dict)
        code = account.get("promotion_code", one["promotion_code"]) if "promotion_code" in one else None
        if code is not None and not code["active"]:
            raise StripeFault.invalid("This promotion code is not active.", "discounts[0][promotion_code]")
        coupon = account.get("coupon", code["promotion"]["coupon"] if code else one["coupon"], "coupon")
        coupon["times_redeemed"] += 1
        made = account.new(
            "discount",
            "di",
            customer=owner["customer"],
            promotion_code=code["id"] if code else None,
            source={"type": "coupon", "coupon": coupon["id"]},
            start=account.now(),
            subscription=owner["id"] if owner["object"] == "subscription" else None,
        )
        made.pop("created", None)
        discounts.append(made["id"])
    return discounts


def discount_amount(account: Account, discount: str, amount: int) -> Decimal:
    """What a discount takes off an amount, in cents, not rounded yet."""
    coupon = account.objects[account.objects[discount]["source"]["coupon"]]
    if coupon["percent_off"]:
        return Decimal(amount) * Decimal(str(coupon["percent_off"])) / 100
    return Decimal(min(amount, coupon["amount_off"]))
