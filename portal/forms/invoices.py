"""The operator's forms for invoices."""

from flask_wtf import FlaskForm
from wtforms import DateField, HiddenField, RadioField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import UUID, DataRequired, InputRequired, Length, Optional

from billing.credit_notes import Remedy
from billing.payments import REFERENCE_LENGTH
from core.clock import now
from core.models.billing import Collection, InvoiceStatus
from portal.forms.money import AmountField
from portal.invoices import HELD, OVERDUE

STATUS_CHOICES = [
    SelectChoice("", "Any status"),
    SelectChoice(InvoiceStatus.DRAFT.value, "Draft"),
    SelectChoice(InvoiceStatus.OPEN.value, "Open"),
    SelectChoice(OVERDUE, "Overdue"),
    SelectChoice(InvoiceStatus.PAID.value, "Paid"),
    SelectChoice(InvoiceStatus.VOID.value, "Void"),
    SelectChoice(InvoiceStatus.UNCOLLECTIBLE.value, "Uncollectible"),
    SelectChoice(HELD, "Held"),
]

COLLECTION_CHOICES = [
    SelectChoice("", "Anybody"),
    SelectChoice(Collection.BANK_TRANSFER.value, "Bank transfer"),
    SelectChoice(Collection.STRIPE.value, "Stripe"),
]


class InvoiceFilterForm(FlaskForm):
    """Which invoices to list; all of it is optional, and sent as a query."""

    class Meta:
        csrf = False

    q = StringField("Tenant", [Length(max=120, message="Use at most 120 characters.")])
    status = SelectField("Status", choices=STATUS_CHOICES, default="")
    collection = SelectField("Collected by", choices=COLLECTION_CHOICES, default="")
    month = SelectField("Month", default="")
    issued_from = DateField("Issued from", [Optional()])
    issued_until = DateField("Issued until", [Optional()])
    # What links from other pages narrow the list down by.
    tenant = HiddenField("Tenant", [Optional(), UUID()])
    plan = HiddenField("Plan", [Length(max=40)])


class PaymentForm(FlaskForm):
    """A bank transfer that came for an invoice."""

    amount = AmountField("Amount", "Give the amount that came.", description="Less than all of it is a part.")
    reference = StringField(
        "Payment's reference",
        [
            DataRequired("Give the payment's reference, as the bank's statement has it."),
            Length(max=REFERENCE_LENGTH, message=f"Use at most {REFERENCE_LENGTH} characters."),
        ],
        description="As the bank's statement has it. The tenant sees it.",
    )
    paid_on = DateField(
        "Paid on",
        [InputRequired("Give the day on which the money came.")],
        default=lambda: now().date(),
        description="The day on which the money came, UTC.",
    )


class CreditNoteForm(FlaskForm):
    """What a credit note takes back, and why."""

    credit_amount = AmountField(
        "Amount", "Give the amount to take back.", description="What is left to pay gets less first."
    )
    remedy = RadioField(
        "What was paid already",
        [InputRequired("Choose what becomes of it.")],
        choices=[
            SelectChoice(Remedy.CREDIT.value, "Becomes credit for the next invoices"),
            SelectChoice(Remedy.REFUND.value, "Is paid back"),
        ],
        default=Remedy.CREDIT.value,
    )
    credit_reason = StringField(
        "Reason",
        [
            DataRequired("Say what the credit note is for."),
            Length(max=300, message="Use at most 300 characters."),
        ],
        description="It stands on the credit note, so the tenant sees it.",
    )


class GiveUpForm(FlaskForm):
    """Why nobody expects an invoice to be paid any more."""

    give_up_reason = StringField(
        "Reason",
        [
            DataRequired("Say why the invoice is given up."),
            Length(max=300, message="Use at most 300 characters."),
        ],
        description="For the logs.",
    )


class VoidForm(FlaskForm):
    """Why an invoice is void."""

    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why the invoice is void."),
            Length(max=500, message="Use at most 500 characters."),
        ],
        description="It stands on the invoice, so the tenant sees it.",
    )


class CloseMonthForm(FlaskForm):
    """The month to close, or to invoice early."""

    month = HiddenField("Month", [InputRequired("Choose a month.")])
