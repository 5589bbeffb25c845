"""An invoice's life: made as a draft, finalised, charged, tried again, paid, or given up."""

from tests.fake_stripe.account import Account, Object, a_list
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.payments import charge_invoice
from tests.fake_stripe.totals import refresh

HOUR, DAY = 3600, 86400
FINALISES_AFTER = HOUR
RETRIES_AFTER = (3 * DAY, 5 * DAY, 7 * DAY)
"""After each failed attempt; after the last there is none."""


def make_draft(account: Account, customer: Object, at: int, **values: object) -> Object:
    """A draft without lines; `refresh` adds them."""
    key = f"in_{account.number('in'):08d}"
    invoice = account.new(
        "invoice",
        "in",
        at,
        **{
            "account_name": "Adaptary",
            "automatic_tax": {
                "enabled": False, "disabled_reason": None, "liability": None, "provider": None, "status": None
            },
            "auto_advance": False,
            "billing_reason": "manual",
            "collection_method": "charge_automatically",
            "currency": customer["currency"] or "usd",
            "customer": customer["id"],
            "customer_email": customer["email"],
            "customer_name": customer["name"],
            "status": "draft",
            "period_start": at,
            "period_end": at,
            "lines": a_list([], f"/v1/invoices/{key}/lines"),
            "test_clock": customer["test_clock"],
            "_parts": [],
            **values,
        },
    )  # fmt: skip
    _plan_finalisation(invoice, at)
    customer["currency"] = invoice["currency"]
    return invoice


def _plan_finalisation(invoice: Object, at: int) -> None:
    advances = invoice["auto_advance"] and invoice["status"] == "draft"
    invoice["automatically_finalizes_at"] = at + FINALISES_AFTER if advances else None


def set_auto_advance(account: Account, invoice: Object, *, on: bool) -> None:
    """Let Stripe go on with an invoice by itself, or not."""
    invoice["auto_advance"] = on
    at = account.now(invoice)
    _plan_finalisation(invoice, max(at, invoice["created"]))
    if not on:
        invoice["next_payment_attempt"] = None
    elif invoice["status"] == "open" and invoice["next_payment_attempt"] is None:
        invoice["next_payment_attempt"] = at


def take_pending_items(account: Account, invoice: Object) -> None:
    """Put the customer's waiting invoice items on a draft."""
    for item in account.of("invoiceitem", customer=invoice["customer"], currency=invoice["currency"]):
        if item["invoice"] is None:
            item["invoice"] = invoice["id"]


def finalise(account: Account, invoice: Object) -> None:
    """Give a draft its number; one with nothing to pay is paid at once."""
    if invoice["status"] != "draft":
        raise StripeFault.invalid("This invoice is already finalized.", "invoice", "invoice_not_editable")
    refresh(account, invoice)
    at = account.now(invoice)
    customer = account.objects[invoice["customer"]]
    sequence = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = sequence + 1
    customer["balance"] = min(0, invoice["starting_balance"] + invoice["total"])
    url = f"https://invoice.stripe.com/i/{invoice['id']}"
    invoice.update(
        status="open",
        number=f"{customer['invoice_prefix']}-{sequence:04d}",
        effective_at=at,
        ending_balance=customer["balance"],
        automatically_finalizes_at=None,
        hosted_invoice_url=url,
        invoice_pdf=f"{url}/pdf",
        next_payment_attempt=at if _charges(invoice) and invoice["auto_advance"] else None,
    )
    invoice["status_transitions"]["finalized_at"] = at
    if invoice["automatic_tax"]["enabled"]:
        invoice["automatic_tax"]["status"] = "complete"
    account.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        settle(account, invoice)


def _charges(invoice: Object) -> bool:
    charges: bool = invoice["collection_method"] == "charge_automatically"
    return charges


def attempt(account: Account, invoice: Object, payment_method: str | None = None) -> None:
    """Charge the customer's card once. Raises StripeFault where that fails, after noting it."""
    method = payment_method or default_card(account, invoice)
    at = account.now(invoice)
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    try:
        if method is None:
            raise StripeFault.invalid("There is no default_payment_method.", "", "resource_missing")
        payment = charge_invoice(account, invoice, method, at)
    except StripeFault:
        tries = invoice["attempt_count"]
        again = invoice["auto_advance"] and tries <= len(RETRIES_AFTER)
        invoice["next_payment_attempt"] = at + RETRIES_AFTER[tries - 1] if again else None
        account.emit("invoice.payment_failed", invoice)
        account.emit("invoice.updated", invoice)
        _tell_subscription(account, invoice, "past_due")
        raise
    settle(account, invoice, payment["amount_paid"])


def default_card(account: Account, invoice: Object) -> str | None:
    """The card to charge: the invoice's, its subscription's, or the customer's."""
    subscription = subscription_of(account, invoice)
    customer = account.objects[invoice["customer"]]
    card: str | None = (
        invoice["default_payment_method"]
        or (subscription and subscription["default_payment_method"])
        or customer["invoice_settings"]["default_payment_method"]
    )
    return card


def settle(account: Account, invoice: Object, amount: int = 0, *, out_of_band: bool = False) -> None:
    """Mark an invoice as paid."""
    invoice.update(
        status="paid",
        amount_paid=invoice["amount_paid"] + (invoice["amount_remaining"] if out_of_band else amount),
        amount_paid_off_stripe=invoice["amount_remaining"] if out_of_band else 0,
        amount_remaining=0,
        attempted=True,
        auto_advance=False,
        next_payment_attempt=None,
    )
    invoice["status_transitions"]["paid_at"] = account.now(invoice)
    account.emit("invoice.updated", invoice)
    account.emit("invoice.paid", invoice)
    if not out_of_band:
        account.emit("invoice.payment_succeeded", invoice)
    _tell_subscription(account, invoice, "active")


def give_up(account: Account, invoice: Object, status: str, event: str) -> None:
    """Make an invoice void or uncollectible."""
    allowed = {"void": ("open", "uncollectible"), "uncollectible": ("open",)}[status]
    if invoice["status"] not in allowed:
        message = f"This invoice is {invoice['status']}: it cannot become {status}."
        raise StripeFault.invalid(message, "invoice")
    invoice.update(status=status, auto_advance=False, next_payment_attempt=None)
    stamp = {"void": "voided_at", "uncollectible": "marked_uncollectible_at"}[status]
    invoice["status_transitions"][stamp] = account.now(invoice)
    account.emit(event, invoice)


def subscription_of(account: Account, invoice: Object) -> Object | None:
    """The subscription that an invoice is for, where it is for one."""
    if not invoice["parent"]:
        return None
    return account.objects[invoice["parent"]["subscription_details"]["subscription"]]


def _tell_subscription(account: Account, invoice: Object, status: str) -> None:
    subscription = subscription_of(account, invoice)
    if subscription is None or subscription["status"] in {status, "canceled"}:
        return
    unpaid = account.of("invoice", customer=invoice["customer"], status="open")
    if status == "active" and any(one["parent"] == invoice["parent"] and one["attempted"] for one in unpaid):
        return
    subscription["status"] = status
    account.emit("customer.subscription.updated", subscription)
