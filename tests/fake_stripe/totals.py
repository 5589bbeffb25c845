"""What a draft comes to: its lines anew, discounts, tax, and the customer's balance."""

from decimal import Decimal

from tests.fake_stripe import meters
from tests.fake_stripe.account import Account, Object, a_list
from tests.fake_stripe.catalogue import discount_amount
from tests.fake_stripe.decimals import whole
from tests.fake_stripe.lines import item_line, subscription_lines


def refresh(account: Account, invoice: Object) -> None:
    """Rate a draft anew: metered quantities are those that the meters have counted by now."""
    if invoice["status"] != "draft":
        return
    lines = []
    for item in account.of("invoiceitem", invoice=invoice["id"]):
        lines.append(item_line(account, invoice, item))
    for part in invoice["_parts"]:
        quantity = _quantity(account, invoice, part)
        lines += subscription_lines(account, invoice, part["item"], quantity, part["period"])
    invoice["lines"] = a_list(lines, f"/v1/invoices/{invoice['id']}/lines")
    _add_up(account, invoice)


def _quantity(account: Account, invoice: Object, part: Object) -> int:
    recurring = part["item"]["price"]["recurring"]
    if recurring["usage_type"] == "licensed":
        licensed: int = part["item"]["quantity"]
        return licensed
    meter = account.objects[recurring["meter"]]
    return meters.usage(account, meter, invoice["customer"], *part["counted"])


def _add_up(account: Account, invoice: Object) -> None:
    subtotal = sum(one["amount"] for one in invoice["lines"]["data"])
    discounts, left = [], subtotal
    for discount in invoice["discounts"]:
        taken = whole(discount_amount(account, discount, left)) if left > 0 else 0
        discounts.append({"amount": taken, "discount": discount})
        left -= taken
    tax = (
        whole(Decimal(left) * account.tax_basis_points / 10_000) if invoice["automatic_tax"]["enabled"] else 0
    )
    total = left + tax
    balance = account.objects[invoice["customer"]]["balance"]
    due = max(0, total + balance)
    invoice.update(
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal,
        total_discount_amounts=discounts,
        total_excluding_tax=left,
        total_taxes=_taxes(tax, left),
        total_pretax_credit_amounts=[],
        total=total,
        starting_balance=balance,
        amount_due=due,
        amount_remaining=due,
    )


def _taxes(tax: int, taxable: int) -> list[Object]:
    if not tax:
        return []
    return [
        {
            "type": "tax_rate_details",
            "amount": tax,
            "tax_behavior": "exclusive",
            "tax_rate_details": {"tax_rate": "txr_automatic"},
            "taxability_reason": "standard_rated",
            "taxable_amount": taxable,
        }
    ]
