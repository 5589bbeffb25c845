"""Credit notes: less to pay on an open invoice; money or balance back on a paid one."""

from tests.fake_stripe import openapi
from tests.fake_stripe.account import Account, Object, a_list, page
from tests.fake_stripe.faults import StripeFault
from tests.fake_stripe.payments import refund
from tests.fake_stripe.routes import PAGE, answers
from tests.fake_stripe.settling import settle


@answers(
    "post",
    "/v1/credit_notes",
    "invoice amount credit_amount refund_amount out_of_band_amount reason memo metadata email_type",
)
def create(account: Account, params: Object) -> Object:
    invoice = account.get("invoice", params["invoice"], "invoice")
    amount = params.get("amount", 0)
    if amount <= 0:
        raise StripeFault.invalid("Give the amount.", "amount", "parameter_missing")
    if invoice["status"] not in {"open", "paid"}:
        raise StripeFault.invalid("Only open and paid invoices can be credited.", "invoice")
    before = amount if invoice["status"] == "open" else 0
    after = amount - before
    _check(account, invoice, params, before, after)
    note = _note(account, invoice, params, amount, before)
    if before:
        _take_off(account, invoice, before)
    else:
        _give_back(account, invoice, params, note)
    account.emit("credit_note.created", note)
    account.emit("invoice.updated", invoice)
    return note


def _check(account: Account, invoice: Object, params: Object, before: int, after: int) -> None:
    given = sum(params.get(name, 0) for name in ("credit_amount", "refund_amount", "out_of_band_amount"))
    if given != after:
        message = f"The refund, credit and out of band amounts are {given}: they must be {after}."
        raise StripeFault.invalid(message, "amount")
    credited = sum(note["amount"] for note in _issued(account, invoice) if note["post_payment_amount"])
    if before > invoice["amount_remaining"] or credited + after > invoice["amount_paid"] + before:
        raise StripeFault.invalid("The credit note's amount is more than the invoice's.", "amount")


def _issued(account: Account, invoice: Object) -> list[Object]:
    return account.of("credit_note", invoice=invoice["id"], status="issued")


def _note(account: Account, invoice: Object, params: Object, amount: int, before: int) -> Object:
    number = len(account.of("credit_note", invoice=invoice["id"])) + 1
    key = f"cn_{account.number('cn'):08d}"
    line = {
        **openapi.blank("credit_note_line_item"),
        "id": f"cnli_{account.number('cnli'):08d}",
        "amount": amount,
        "description": params.get("memo"),
        "quantity": 1,
        "type": "custom_line_item",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    return account.new(
        "credit_note",
        "cn",
        account.now(invoice),
        amount=amount,
        currency=invoice["currency"],
        customer=invoice["customer"],
        invoice=invoice["id"],
        lines=a_list([line], f"/v1/credit_notes/{key}/lines"),
        memo=params.get("memo"),
        metadata=params.get("metadata", {}),
        number=f"{invoice['number']}-CN-{number:02d}",
        out_of_band_amount=params.get("out_of_band_amount"),
        pdf=f"https://pay.stripe.com/credit_notes/{key}/pdf",
        post_payment_amount=amount - before,
        pre_payment_amount=before,
        reason=params.get("reason"),
        status="issued",
        subtotal=amount,
        total=amount,
        type="pre_payment" if before else "post_payment",
    )


def _take_off(account: Account, invoice: Object, amount: int) -> None:
    invoice["pre_payment_credit_notes_amount"] += amount
    invoice["amount_remaining"] -= amount
    invoice["amount_due"] -= amount
    if invoice["amount_remaining"] == 0:
        settle(account, invoice)


def _give_back(account: Account, invoice: Object, params: Object, note: Object) -> None:
    invoice["post_payment_credit_notes_amount"] += note["amount"]
    account.objects[invoice["customer"]]["balance"] -= params.get("credit_amount", 0)
    back = params.get("refund_amount", 0)
    if back:
        payments = account.of("invoice_payment", invoice=invoice["id"], status="paid")
        if not payments:
            raise StripeFault.invalid("There is no payment to refund.", "refund_amount")
        made = refund(account, payments[0]["payment"]["payment_intent"], back, {})
        note["refunds"] = [{"amount_refunded": back, "refund": made["id"], "type": "refund"}]


@answers("get", "/v1/credit_notes/{id}")
def retrieve(account: Account, _params: Object, key: str) -> Object:
    return account.get("credit_note", key)


@answers("get", "/v1/credit_notes", PAGE, "customer invoice")
def list_all(account: Account, params: Object) -> Object:
    found = account.of("credit_note", customer=params.get("customer"), invoice=params.get("invoice"))
    return page(found, "/v1/credit_notes", params)


@answers("post", "/v1/credit_notes/{id}/void")
def void(account: Account, _params: Object, key: str) -> Object:
    note = account.get("credit_note", key)
    invoice = account.objects[note["invoice"]]
    if note["status"] == "void" or invoice["status"] != "open":
        raise StripeFault.invalid("Only a credit note of an open invoice can be voided.", "id")
    note.update(status="void", voided_at=account.now(invoice))
    invoice["pre_payment_credit_notes_amount"] -= note["amount"]
    invoice["amount_remaining"] += note["amount"]
    invoice["amount_due"] += note["amount"]
    account.emit("credit_note.voided", note)
    return note
