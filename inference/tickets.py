"""Tickets: what the gateway signs and the pool trusts, instead of keys, a database or a session.

A ticket is `<claims>.<signature>`, both base64url without padding: compact JSON, and its HMAC-SHA256 under
the key that gateway and pool share. It lives for seconds, so a copied one is soon worthless.
"""

import base64
import binascii
import hmac
import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from hashlib import sha256

LIFETIME_SECONDS = 30.0
CLOCK_SKEW_SECONDS = 5.0
MAXIMUM_LENGTH = 2048


class InvalidTicket(Exception):
    """The ticket is malformed, forged, for another use, or claims to live longer than any ticket may."""


class ExpiredTicket(InvalidTicket):
    """The ticket was good once."""


class Use(StrEnum):
    """What a ticket admits to."""

    PREDICT = "predict"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one request may do in the pool.

    `adapter` is the SHA-256 in hex of the adapter's file, `base` its base model's id. `tier` is the class
    that the tenant's metrics are counted under, and `weight` its share of the pool against others'.
    `expires` is in seconds since the epoch, and also the moment after which the answer is of no use to
    anyone.
    """

    use: Use
    tenant: str
    request: str
    expires: float
    adapter: str = ""
    base: str = ""
    tier: str = "standard"
    weight: int = 1


_TYPES = {"expires": (int, float), "weight": (int,)}
_NAMES = {field.name for field in fields(Ticket)}


def sign(ticket: Ticket, key: str) -> str:
    """The ticket as the value of an HTTP header."""
    claims = _encode(json.dumps(asdict(ticket), separators=(",", ":")).encode())
    return f"{claims}.{_signature(claims, key)}"


def verify(value: str, key: str, *, use: Use, now: float) -> Ticket:
    """The ticket that `value` holds, if it was signed with `key`, is for `use`, and is fresh at `now`.

    `now` is in seconds since the epoch. Raises InvalidTicket, or ExpiredTicket for one that is only too
    old.
    """
    claims, dot, signature = value.partition(".")
    if not dot or len(value) > MAXIMUM_LENGTH or not value.isascii():
        raise InvalidTicket("The ticket is malformed.")
    if not hmac.compare_digest(signature, _signature(claims, key)):
        raise InvalidTicket("The ticket's signature is wrong.")
    ticket = _parse(claims)
    if ticket.use is not use:
        raise InvalidTicket(f"The ticket is for {ticket.use}, not for {use}.")
    if ticket.expires <= now:
        raise ExpiredTicket("The ticket has expired.")
    if ticket.expires > now + LIFETIME_SECONDS + CLOCK_SKEW_SECONDS:
        raise InvalidTicket("The ticket lives longer than a ticket may: compare the two machines' clocks.")
    return ticket


def _parse(claims: str) -> Ticket:
    # The signature was good, so only a gateway of another version can send what fails here.
    try:
        values = json.loads(_decode(claims))
    except (ValueError, binascii.Error):
        raise InvalidTicket("The ticket's claims are not JSON.") from None
    if not isinstance(values, dict) or set(values) != _NAMES:
        raise InvalidTicket(
            "The ticket's claims are not the expected ones: gateway and pool differ in version."
        )
    for name, value in values.items():
        if not isinstance(value, _TYPES.get(name, (str,))) or isinstance(value, bool):
            raise InvalidTicket(f"The ticket's claim {name!r} has the wrong type.")
    if values["use"] not in list(Use) or values["weight"] < 1:
        raise InvalidTicket("The ticket's use or weight is unknown here.")
    return Ticket(**{**values, "use": Use(values["use"])})


def _signature(claims: str, key: str) -> str:
    return _encode(hmac.digest(key.encode(), claims.encode(), sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
