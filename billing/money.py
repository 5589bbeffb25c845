"""Amounts in writing. Cents are integers or Decimal; nothing here passes through a float."""

from decimal import Decimal

_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}
_HUNDRED = Decimal(100)


def money(cents: int | Decimal, currency: str = "USD") -> str:
    """Cents as an amount of money: 123456 → $1,234.56."""
    return _signed(Decimal(cents), currency, f"{abs(Decimal(cents)) / _HUNDRED:,.2f}")


def unit_price(cents: Decimal) -> str:
    """A price in plain decimals without trailing zeros: Decimal("0.000030000000") → 0.00003."""
    written = f"{cents:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def per_million(cents: Decimal, currency: str = "USD") -> str:
    """A price a token as people compare it, for a million: Decimal("0.00003") → $0.30."""
    whole, _, decimals = unit_price(cents * 1_000_000 / _HUNDRED).partition(".")
    return _signed(cents, currency, f"{int(whole):,}.{decimals:0<2}")


def _signed(cents: Decimal, currency: str, figure: str) -> str:
    sign = "−" if cents < 0 else ""
    symbol = _SYMBOLS.get(currency.upper())
    return f"{sign}{symbol}{figure}" if symbol else f"{sign}{figure} {currency.upper()}"
