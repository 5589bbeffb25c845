"""The form for a monthly budget."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from flask_wtf import FlaskForm
from wtforms import DecimalField, RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from billing.budgets import LARGEST_CENTS

TENANT = "tenant"
CAP, ALERT = "cap", "alert"

_LARGEST = LARGEST_CENTS // 100


class BudgetForm(FlaskForm):
    """How much may be spent in a month, by whom, and what happens at that amount."""

    api_key = SelectField(
        "For",
        default=TENANT,
        description="A key's tokens count at their list prices; what the plan includes is not taken off.",
    )
    amount = DecimalField(
        "Amount a month",
        [
            InputRequired("Give an amount."),
            NumberRange(0, _LARGEST, f"Give an amount from 0 to {_LARGEST:,}."),
        ],
        description="Of usage, without the plan's fee.",
    )
    effect = RadioField(
        "At this amount",
        choices=[
            SelectChoice(CAP, "Refuse what could pass it, and alert"),
            SelectChoice(ALERT, "Alert only"),
        ],
        default=CAP,
    )
    webhook_url = StringField(
        "Webhook",
        [Optional(), Length(max=500, message="Use at most 500 characters.")],
        description="Is told of alerts too, signed like a batch's.",
        filters=[lambda url: url.strip() if url else url],
    )

    def offer(self, keys: Iterable[tuple[str, str]]) -> None:
        """Say which keys, by id and name, may have a budget."""
        self.api_key.choices = [
            SelectChoice(TENANT, "The whole tenant"),
            *(SelectChoice(key_id, f"The key {name}") for key_id, name in keys),
        ]

    @property
    def cents(self) -> int:
        """The amount in whole cents."""
        return int((Decimal(self.amount.data or 0) * 100).to_integral_value(ROUND_HALF_UP))
