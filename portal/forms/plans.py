"""The operator's forms for plans."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    DateField,
    FieldList,
    Form,
    FormField,
    IntegerField,
    RadioField,
    SelectChoice,
    SelectField,
    StringField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional, Regexp

from billing.contracts import NAME_LENGTH
from billing.prices import PriceTerms
from billing.rating import MONTHLY_KINDS, Price, Tier
from core.clock import now
from core.models.billing import PriceKind, PriceScheme

NOW, NEXT_MONTH = "now", "next_month"
LARGEST_QUOTA = 10**15
LARGEST_LIMIT = 10**9

# A price is typed in whole units of money, for a million tokens or a month; it is kept in cents a unit.
_TOKENS_EXPONENT, _FEE_EXPONENT = -4, 2

TIER_ROWS = 5


SCHEME_TITLES = {
    PriceScheme.FLAT: "Flat: every token at one price",
    PriceScheme.GRADUATED: "Graduated: each tier's tokens at that tier's price",
    PriceScheme.VOLUME: "Volume: all of a month's tokens at the price of the tier that it reaches",
}

_AN_AMOUNT = Regexp(r"\s*\d{1,9}(\.\d{1,8})?\s*$", message="Write it like 1234.50, without a sign.")
_CENTS = Regexp(r"\s*\d{1,9}(\.\d{1,2})?\s*$", message="Write it like 12.50, with at most two decimals.")


class TierForm(Form):
    """One row of a tiered price. Only the last one that is filled in may leave out where it ends."""

    up_to = IntegerField(
        "Up to",
        [Optional(), NumberRange(1, LARGEST_QUOTA, f"Give a whole number from 1 to {LARGEST_QUOTA:,}.")],
    )
    amount = StringField("Price for a million", [Optional(), _AN_AMOUNT])
    flat = StringField("Flat amount", [Optional(), _CENTS])

    @property
    def is_empty(self) -> bool:
        return not any((field.raw_data or [""])[0].strip() for field in self)

    @property
    def tier(self) -> Tier:
        """Raises nothing once the form is valid: an amount left out is zero."""
        return Tier(
            self.up_to.data,
            _decimal(self.amount).scaleb(_TOKENS_EXPONENT),
            _decimal(self.flat).scaleb(_FEE_EXPONENT),
        )


class PriceForm(FlaskForm):
    """The next version of a price. `offer` says of which kind before it is read."""

    scheme = RadioField(
        "How the price follows from a month's tokens",
        [InputRequired("Choose one.")],
        choices=[SelectChoice(scheme.value, title) for scheme, title in SCHEME_TITLES.items()],
        default=PriceScheme.FLAT,
    )
    amount = StringField("Price", [InputRequired("Give the price."), _AN_AMOUNT])
    tiers = FieldList(FormField(TierForm), min_entries=TIER_ROWS, max_entries=TIER_ROWS)
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
        if kind in MONTHLY_KINDS:
            what = "Fee" if kind is PriceKind.PLATFORM else "The least that usage costs"
            self.amount.label.text = f"{what} a month, in {currency}"
            del self.included, self.scheme, self.tiers
        else:
            self.amount.label.text = f"Price for a million tokens, in {currency}"
            self.amount.description = "Of a flat price. One with tiers has its prices there."
            if self.is_tiered:
                self.amount.validators = [Optional()]

    def show(self, price: Price) -> None:
        """Fill in a price as it is now."""
        self.amount.data = "" if price.tiers else _written(price.unit_amount, self._exponent)
        if self.kind in MONTHLY_KINDS:
            return
        self.included.data = price.included_quantity
        self.scheme.data = price.scheme
        for row, tier in zip(self.tiers, price.tiers, strict=False):
            row.up_to.data = tier.up_to
            row.amount.data = _written(tier.unit_amount, _TOKENS_EXPONENT)
            row.flat.data = _written(tier.flat_amount, _FEE_EXPONENT)

    @property
    def is_tiered(self) -> bool:
        return self.kind not in MONTHLY_KINDS and self.scheme.data in (
            PriceScheme.GRADUATED,
            PriceScheme.VOLUME,
        )

    @property
    def terms(self) -> PriceTerms:
        """What is asked for, once the form is valid."""
        if self.kind in MONTHLY_KINDS:
            return PriceTerms(_decimal(self.amount).scaleb(self._exponent))
        scheme, included = PriceScheme(self.scheme.data), self.included.data or 0
        if scheme is PriceScheme.FLAT:
            return PriceTerms(_decimal(self.amount).scaleb(self._exponent), included)
        tiers = tuple(row.form.tier for row in self.tiers if not row.form.is_empty)
        return PriceTerms(included_quantity=included, scheme=scheme, tiers=tiers)

    @property
    def _exponent(self) -> int:
        return _FEE_EXPONENT if self.kind in MONTHLY_KINDS else _TOKENS_EXPONENT

    def validate_amount(self, field: Any) -> None:
        decimals = (field.data or "").strip().partition(".")[2]
        if self.kind in MONTHLY_KINDS and len(decimals.rstrip("0")) > 2:
            raise ValidationError("An amount a month has at most two decimals.")


class LimitsForm(FlaskForm):
    """How much all API keys of a tenant on the plan may use a minute."""

    requests = IntegerField(
        "Requests a minute",
        [
            InputRequired("Give a whole number."),
            NumberRange(1, LARGEST_LIMIT, f"Give a whole number from 1 to {LARGEST_LIMIT:,}."),
        ],
    )
    tokens = IntegerField(
        "Tokens a minute",
        [
            InputRequired("Give a whole number."),
            NumberRange(1, LARGEST_LIMIT, f"Give a whole number from 1 to {LARGEST_LIMIT:,}."),
        ],
        description="Those that requests send and those that chats write.",
    )


class ChangePlanForm(FlaskForm):
    """The plan that a tenant is to be on, and from when. Both are offered by the page."""

    plan = SelectField("Plan", [InputRequired("Choose a plan.")])
    start = RadioField("From", [InputRequired("Choose from when.")], default=NEXT_MONTH)


class ContractForm(FlaskForm):
    """A copy of a plan for one tenant. The plans are offered by the page."""

    copy_of = SelectField("Copy of", [InputRequired("Choose a plan.")])
    name = StringField(
        "Name",
        [InputRequired("Name the contract."), Length(max=NAME_LENGTH)],
        description="The tenant sees it on its bills.",
    )


def _decimal(field: StringField) -> Decimal:
    return Decimal((field.data or "").strip() or 0)


def _written(cents: Decimal, exponent: int) -> str:
    amount = cents.scaleb(-exponent)
    return f"{amount.normalize():f}" if amount else "0"
