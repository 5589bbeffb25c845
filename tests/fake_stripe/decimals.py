"""Prices with up to twelve decimals of a cent, and the rounding of what they come to."""

from decimal import ROUND_HALF_UP, Decimal

from tests.fake_stripe.account import Object
from tests.fake_stripe.faults import StripeFault


def whole(amount: Decimal) -> int:
    """To the nearest cent, once for each line; a tie goes up.

    docs.stripe.com/billing/subscriptions/decimal-amounts, Rounding: 0.05 × 30 = 1.5 is "rounded up to 2".
    """
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def read_amount(params: Object, name: str) -> Decimal | None:
    """An amount given either whole or as a decimal. Raises StripeFault for both."""
    if name in params and f"{name}_decimal" in params:
        raise StripeFault.invalid(f"You may only specify one of {name}, {name}_decimal.", name)
    given = params.get(name, params.get(f"{name}_decimal"))
    return None if given in {None, ""} else Decimal(given)


def amount_fields(name: str, amount: Decimal | None) -> Object:
    """The two ways in which an object shows an amount: whole, where it is, and as a decimal."""
    if amount is None:
        return {name: None, f"{name}_decimal": None}
    is_whole = amount == amount.to_integral_value()
    return {name: int(amount) if is_whole else None, f"{name}_decimal": plain(amount)}


def plain(amount: Decimal) -> str:
    """Without an exponent and trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
