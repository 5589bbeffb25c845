"""Amounts in writing are exact, whatever their size."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import money, per_million, unit_price


@pytest.mark.parametrize(
    ("cents", "currency", "written"),
    [
        (0, "USD", "$0.00"),
        (5, "USD", "$0.05"),
        (123456, "USD", "$1,234.56"),
        (-1050, "EUR", "−€10.50"),
        (999, "CHF", "9.99 CHF"),
        (12345678901234567890, "GBP", "£123,456,789,012,345,678.90"),
    ],
)
def test_cents_are_written_as_money(cents, currency, written):
    assert money(cents, currency) == written


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_cent_is_lost_in_writing(cents):
    figures = money(cents, "CHF").removesuffix(" CHF").replace(",", "").replace(".", "").replace("−", "-")
    assert int(figures) == cents


@pytest.mark.parametrize(
    ("cents", "written", "a_million"),
    [
        ("0", "0", "$0.00"),
        ("0.00003", "0.00003", "$0.30"),
        ("0.000030000000", "0.00003", "$0.30"),
        ("2900", "2900", "$29,000,000.00"),
        ("0.0000001", "0.0000001", "$0.001"),
    ],
)
def test_prices_are_written_without_trailing_zeros(cents, written, a_million):
    assert unit_price(Decimal(cents)) == written
    assert per_million(Decimal(cents)) == a_million
