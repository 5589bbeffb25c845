"""The operator's form for granting credit."""

from datetime import datetime

from flask_wtf import FlaskForm
from wtforms import DateField, RadioField, SelectChoice, StringField
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from billing.periods import last_moment_of
from core.models.credit_grants import CreditKind
from portal.forms.money import AmountField


class CreditForm(FlaskForm):
    """Credit for a tenant: given, or paid for in advance."""

    kind = RadioField(
        "Kind",
        [InputRequired("Choose what it is.")],
        choices=[
            SelectChoice(CreditKind.PROMOTION.value, "Promotion: given"),
            SelectChoice(CreditKind.PREPAID.value, "Prepaid: the tenant has paid for it"),
        ],
        default=CreditKind.PROMOTION.value,
    )
    amount = AmountField("Amount", "Give the amount.")
    reference = StringField(
        "Reference",
        [
            DataRequired("Give a reference, like the payment's."),
            Length(max=120, message="Use at most 120 characters."),
        ],
        description="The payment's, or what the credit is for. The same reference grants once. The tenant sees it.",
    )
    expires_on = DateField("Last day", [Optional()], description="UTC; without one it does not expire.")
    note = StringField("Note", [Length(max=300, message="Use at most 300 characters.")])

    def offer(self, currency: str) -> None:
        """Say in which currency the amount is."""
        self.amount.label.text = f"Amount, in {currency}"

    @property
    def expires_at(self) -> datetime | None:
        """The first moment at which it cannot be drawn any more."""
        if self.expires_on.data is None:
            return None
        return last_moment_of(self.expires_on.data) + datetime.resolution
