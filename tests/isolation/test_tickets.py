"""Tickets to the shared pool: whatever is swapped between two that are good makes one that is not."""

import base64
import json
from dataclasses import fields, replace
from itertools import product

import pytest

from inference.tickets import (
    CLOCK_SKEW_SECONDS,
    LIFETIME_SECONDS,
    ExpiredTicket,
    InvalidTicket,
    Ticket,
    Use,
    sign,
    verify,
)

KEY, NOW = "k" * 32, 1_000_000.0
MINE = Ticket(Use.PREDICT, "mine", "req_1", NOW + 10, adapter="a" * 64, base="base", tier="trial", weight=1)
THEIRS = Ticket(
    Use.STATE, "theirs", "req_2", NOW + 20, adapter="b" * 64, base="other", tier="scale", weight=9
)


def parts(ticket: Ticket) -> tuple[str, str]:
    claims, _, signature = sign(ticket, KEY).partition(".")
    return claims, signature


def claims_of(ticket: Ticket, **changes: object) -> str:
    values = {field.name: getattr(ticket, field.name) for field in fields(Ticket)} | changes
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("name", [field.name for field in fields(Ticket)])
def test_a_claim_of_another_ticket_under_either_signature_is_refused(name):
    mixed = claims_of(MINE, **{name: getattr(THEIRS, name)})
    for signature, use in product((parts(MINE)[1], parts(THEIRS)[1]), Use):
        with pytest.raises(InvalidTicket, match="signature"):
            verify(f"{mixed}.{signature}", KEY, use=use, now=NOW)


def test_the_signature_of_another_ticket_is_refused():
    for (claims, _), (_, signature) in ((parts(MINE), parts(THEIRS)), (parts(THEIRS), parts(MINE))):
        with pytest.raises(InvalidTicket, match="signature"):
            verify(f"{claims}.{signature}", KEY, use=Use.PREDICT, now=NOW)


@pytest.mark.parametrize("signature", ["", "A", "=" * 43, "none"])
def test_a_ticket_without_a_signature_is_refused(signature):
    with pytest.raises(InvalidTicket):
        verify(f"{parts(MINE)[0]}.{signature}", KEY, use=Use.PREDICT, now=NOW)


def test_a_ticket_used_again_is_good_until_it_expires_and_never_after():
    ticket = sign(MINE, KEY)
    for moment in (NOW, NOW + 9.9):
        assert verify(ticket, KEY, use=Use.PREDICT, now=moment) == MINE
    for moment in (NOW + 10, NOW + 10**6):
        with pytest.raises(ExpiredTicket):
            verify(ticket, KEY, use=Use.PREDICT, now=moment)


def test_no_ticket_lives_longer_than_half_a_minute_whoever_signed_it():
    longest = LIFETIME_SECONDS + CLOCK_SKEW_SECONDS
    with pytest.raises(InvalidTicket, match="longer"):
        verify(sign(replace(MINE, expires=NOW + longest + 1), KEY), KEY, use=Use.PREDICT, now=NOW)


def test_a_ticket_admits_to_its_own_use_only():
    with pytest.raises(InvalidTicket, match="is for"):
        verify(sign(MINE, KEY), KEY, use=Use.STATE, now=NOW)
