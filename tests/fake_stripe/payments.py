"""Charges of cards for invoices, and refunds."""

from tests.fake_stripe.account import Account, Object, page, shown
from tests.fake_stripe.cards import charge_refusal
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.routes import PAGE, answers


def charge_invoice(account: Account, invoice: Object, payment_method: str, at: int) -> Object:
    """Charge a card for what is left to pay. Raises StripeFault where its bank refuses."""
    intent = _intent_of(account, invoice, payment_method, at)
    refusal = charge_refusal(account, payment_method)
    if refusal:
        fault = StripeFault.declined(refusal, payment_intent=shown(intent))
        intent["status"] = "requires_payment_method"
        account.emit("payment_intent.payment_failed", intent)
        raise fault
    amount = invoice["amount_remaining"]
    intent.update(status="succeeded", amount_received=amount)
    account.emit("payment_intent.succeeded", intent)
    paid = {"paid_at": at, "canceled_at": None}
    payment = _payment_of(account, invoice, intent["id"])
    payment.update(amount_paid=amount, amount_requested=amount, status="paid", status_transitions=paid)
    account.emit("invoice_payment.paid", payment)
    return payment


def _intent_of(account: Account, invoice: Object, payment_method: str, at: int) -> Object:
    """An invoice has one intent, which each attempt to charge it goes on with."""
    for payment in account.of("invoice_payment", invoice=invoice["id"]):
        intent = account.objects[payment["payment"]["payment_intent"]]
        intent["payment_method"] = payment_method
        return intent
    intent = account.new(
        "payment_intent",
        "pi",
        at,
        amount=invoice["amount_remaining"],
        amount_capturable=0,
        amount_received=0,
        capture_method="automatic",
        confirmation_method="automatic",
        currency=invoice["currency"],
        customer=invoice["customer"],
        payment_method=payment_method,
        payment_method_types=["card"],
        status="processing",
        _refunded=0,
    )
    account.new(
        "invoice_payment",
        "inpay",
        at,
        amount_requested=invoice["amount_remaining"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"type": "payment_intent", "payment_intent": intent["id"]},
        status="open",
        status_transitions={"paid_at": None, "canceled_at": None},
    )
    return intent


def _payment_of(account: Account, invoice: Object, intent: str) -> Object:
    return next(
        one
        for one in account.of("invoice_payment", invoice=invoice["id"])
        if one["payment"]["payment_intent"] == intent
    )


@answers("get", "/v1/payment_intents/{intent}")
def retrieve_intent(account: Account, _params: Object, key: str) -> Object:
    return account.get("payment_intent", key, "intent")


@answers("get", "/v1/invoice_payments", PAGE, "invoice status")
def list_invoice_payments(account: Account, params: Object) -> Object:
    found = account.of("invoice_payment", invoice=params.get("invoice"), status=params.get("status"))
    return page(found, "/v1/invoice_payments", params)


@answers("get", "/v1/invoice_payments/{invoice_payment}")
def retrieve_invoice_payment(account: Account, _params: Object, key: str) -> Object:
    return account.get("invoice_payment", key)


@answers("post", "/v1/refunds", "payment_intent amount reason metadata")
def create_refund(account: Account, params: Object) -> Object:
    return refund(account, params.get("payment_intent", ""), params.get("amount"), params)


def refund(account: Account, intent_id: str, amount: int | None, params: Object) -> Object:
    """Pay back a charge, or part of it. Raises StripeFault for more than is left of it."""
    intent = account.get("payment_intent", intent_id, "payment_intent")
    left = intent["amount_received"] - intent["_refunded"]
    amount = left if amount is None else amount
    if not 0 < amount <= left:
        code = "charge_already_refunded" if left == 0 else "amount_too_large"
        raise StripeFault.invalid(f"A refund of {amount} is not possible: {left} are left.", "amount", code)
    intent["_refunded"] += amount
    made = account.new(
        "refund",
        "re",
        amount=amount,
        currency=intent["currency"],
        metadata=params.get("metadata", {}),
        payment_intent=intent_id,
        reason=params.get("reason"),
        status="succeeded",
    )
    account.emit("refund.created", made)
    return made


@answers("get", "/v1/refunds/{refund}")
def retrieve_refund(account: Account, _params: Object, key: str) -> Object:
    return account.get("refund", key)


@answers("get", "/v1/refunds", PAGE, "payment_intent")
def list_refunds(account: Account, params: Object) -> Object:
    return page(account.of("refund", payment_intent=params.get("payment_intent")), "/v1/refunds", params)
