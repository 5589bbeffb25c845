"""The operator's forms for invoices."""

from flask_wtf import FlaskForm
from wtforms import DateField, HiddenField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from billing.invoices import REFERENCE_LENGTH
from core.clock import now
from core.models.billing import InvoiceStatus
from portal.invoices import OVERDUE

STATUS_CHOICES = [
    SelectChoice("", "Any status"),
    SelectChoice(InvoiceStatus.OPEN.value, "Open"),
    SelectChoice(OVERDUE, "Overdue"),
    SelectChoice(InvoiceStatus.PAID.value, "Paid"),
    SelectChoice(InvoiceStatus.VOID.value, "Void"),
]


class InvoiceFilterForm(FlaskForm):
    """Which invoices to list; all of it is optional, and sent as a query."""

    class Meta:
        csrf = False

    status = SelectField("Status", choices=STATUS_CHOICES, default="")
    month = SelectField("Month", default="")
    tenant = SelectField("Tenant", default="")


class PaidForm(FlaskForm):
    """That an invoice was paid."""

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
