"""Tickets: only what the gateway signed, for this use, and only while it is fresh."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tickets import LIFETIME_SECONDS, ExpiredTicket, InvalidTicket, Ticket, Use, sign, verify

KEY = "k" * 32
NOW = 1_800_000_000.0
TICKET = Ticket(
    use=Use.PREDICT,
    tenant="t1",
    request="req_1",
    expires=NOW + 10,
    adapter="ab" * 32,
    base="b",
    tier="pro",
    weight=3,
)


def check(value: str, *, key: str = KEY, use: Use = Use.PREDICT, now: float = NOW) -> Ticket:
    return verify(value, key, use=use, now=now)


def test_a_signed_ticket_comes_back_as_it_was() -> None:
    assert check(sign(TICKET, KEY)) == TICKET


def test_a_ticket_signed_with_another_key_is_refused() -> None:
    with pytest.raises(InvalidTicket, match="signature"):
        check(sign(TICKET, "x" * 32))


def test_a_ticket_dies_at_its_expiry() -> None:
    value = sign(TICKET, KEY)
    check(value, now=TICKET.expires - 0.001)
    with pytest.raises(ExpiredTicket):
        check(value, now=TICKET.expires)


def test_a_ticket_that_would_live_too_long_is_refused() -> None:
    with pytest.raises(InvalidTicket, match="clocks"):
        check(sign(replace(TICKET, expires=NOW + LIFETIME_SECONDS + 60), KEY))


def test_a_ticket_for_one_use_is_refused_for_another() -> None:
    with pytest.raises(InvalidTicket, match="not for state"):
        check(sign(TICKET, KEY), use=Use.STATE)


def test_claims_of_another_tenant_under_the_old_signature_are_refused() -> None:
    claims, _, signature = sign(TICKET, KEY).partition(".")
    values = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    forged = urlsafe_b64encode(json.dumps({**values, "tenant": "t2"}).encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidTicket, match="signature"):
        check(f"{forged}.{signature}")


@pytest.mark.parametrize(
    "changes", [{"weight": 0}, {"weight": "3"}, {"weight": True}, {"tenant": 5}, {"expires": "soon"}]
)
def test_claims_of_a_wrong_type_are_refused_even_when_signed(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidTicket):
        check(sign(replace(TICKET, **changes), KEY))  # type: ignore[arg-type]


@given(st.text(max_size=200))
def test_no_text_makes_verification_fail_in_another_way(value: str) -> None:
    with pytest.raises(InvalidTicket):
        check(value)


@given(st.data())
def test_a_ticket_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    value = sign(TICKET, KEY)
    at = data.draw(st.integers(0, len(value) - 1))
    character = data.draw(st.characters().filter(lambda c: c != value[at]))
    changed = value[:at] + character + value[at + 1 :]
    with pytest.raises(InvalidTicket):
        check(changed)
