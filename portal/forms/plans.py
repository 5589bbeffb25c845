"""The operator's forms for plans."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask_wtf import FlaskForm
from wtforms import DateField, IntegerField, RadioField, SelectField, StringField, ValidationError
from wtforms.validators import InputRequired, NumberRange, Regexp

from core.clock import now
from core.models.billing import PriceKind

NOW, NEXT_MONTH = "now", "next_month"
LARGEST_QUOTA = 10**15

# A price is typed in whole units of money, for a million tokens or a month; it is kept in cents a unit.
_TOKENS_EXPONENT, _FEE_EXPONENT = -4, 2


class PriceForm(FlaskForm):
    """The next version of a price. `offer` says of which kind before it is read."""

    amount = StringField(
        "Price",
        [
            InputRequired("Give the price."),
            Regexp(r"\s*\d{1,9}(\.\d{1,8})?\s*$", message="Write it like 1234.50, without a sign."),
        ],
    )
    included = IntegerField(
        "Included tokens a month",
        [
            InputRequired("Give a whole number; 0 for none."),
            NumberRange(0, LARGEST_QUOTA, f"Give a whole number from 0 to {LARGEST_QUOTA:,}."),
        ],
        description="The same for everybody on the plan; what is beyond it is charged.",
    )
    effective_from = DateField(
        "From",
        [InputRequired("Choose the first day.")],
        default=lambda: now().date() + timedelta(days=1),
        description="The first day, at 00:00 UTC. Tomorrow at the earliest: what usage has cost stays as it was.",
    )

    def offer(self, kind: PriceKind, currency: str) -> None:
        """Make it a form for a price of that kind."""
        self.kind = kind
        if kind is PriceKind.PLATFORM:
            self.amount.label.text = f"Fee a month, in {currency}"
            del self.included
        else:
            self.amount.label.text = f"Price for a million tokens, in {currency}"

    def show(self, cents_per_unit: Decimal) -> None:
        """Fill in a price as it is now."""
        amount = cents_per_unit.scaleb(-self._exponent)
        self.amount.data = f"{amount.normalize():f}" if amount else "0"

    @property
    def cents_per_unit(self) -> Decimal:
        return Decimal((self.amount.data or "").strip()).scaleb(self._exponent)

    @property
    def included_quantity(self) -> int:
        quantity: int = self.included.data if "included" in self else 0
        return quantity

    @property
    def _exponent(self) -> int:
        return _FEE_EXPONENT if self.kind is PriceKind.PLATFORM else _TOKENS_EXPONENT

    def validate_amount(self, field: Any) -> None:
        decimals = (field.data or "").strip().partition(".")[2]
        if self.kind is PriceKind.PLATFORM and len(decimals.rstrip("0")) > 2:
            raise ValidationError("A fee has at most two decimals.")


class ChangePlanForm(FlaskForm):
    """The plan that a tenant is to be on, and from when. Both are offered by the page."""

    plan = SelectField("Plan", [InputRequired("Choose a plan.")])
    start = RadioField("From", [InputRequired("Choose from when.")], default=NEXT_MONTH)
