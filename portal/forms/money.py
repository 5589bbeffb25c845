"""Amounts of money as people type them."""

from decimal import Decimal
from typing import Any

from wtforms import StringField
from wtforms.validators import InputRequired, Regexp


class AmountField(StringField):
    """An amount in whole units of money with up to two decimals, like 1234.50."""

    def __init__(self, label: str, required: str, **options: Any) -> None:
        pattern = Regexp(r"\s*\d{1,9}(\.\d{1,2})?\s*$", message="Write it like 1234.50, without a sign.")
        super().__init__(label, [InputRequired(required), pattern], **options)

    @property
    def cents(self) -> int:
        """What was typed, in cents; only of a form that was validated."""
        return int(Decimal((self.data or "").strip()).scaleb(2))

    def show(self, cents: int) -> None:
        """Fill in an amount."""
        self.data = f"{Decimal(cents).scaleb(-2):.2f}"
