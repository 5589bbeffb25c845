"""Grants: what the process that trains shows with each message, instead of credentials.

A grant is `<claims>.<signature>`, both base64url without padding: compact JSON, and its HMAC-SHA256 under a key that is
made for one run and never leaves the broker's memory. It names one errand, and lives no longer than a lease does
without a sign of life: each sign of life that the broker accepts is answered with a new one.
"""

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256

from training.leases import LEASE

LIFETIME_SECONDS = 2 * LEASE.total_seconds()
"""Longer than a lease: a machine that was busy for a while has lost its job by the lease, not by the grant."""

_LONGEST = 2048


class InvalidGrant(Exception):
    """The grant does not admit to what was asked; `reason` is one word for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Use(StrEnum):
    """What a grant may admit to."""

    READ_ROWS = "read-rows"
    READ_CHECKPOINT = "read-checkpoint"
    WRITE_CHECKPOINT = "write-checkpoint"
    WRITE_ADAPTER = "write-adapter"
    WRITE_ESTIMATE = "write-estimate"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Errand:
    """One run: whose, of which job and attempt (counted from 1; an estimate is job "estimate", attempt 0), reading
    which dataset version, and what it may do."""

    tenant: str
    job: str
    attempt: int
    version: str
    uses: frozenset[Use]


class Grantor:
    """Signs and checks the grants of one errand."""

    def __init__(self, errand: Errand, key: bytes | None = None) -> None:
        self.errand = errand
        self._key = key or secrets.token_bytes(32)

    def grant(self, now: float) -> str:
        """A grant that is good from `now`, in seconds of any clock that only goes forward."""
        claims = {**asdict(self.errand), "uses": sorted(self.errand.uses), "expires": now + LIFETIME_SECONDS}
        text = _encode(json.dumps(claims, separators=(",", ":")).encode())
        return f"{text}.{self._signature(text)}"

    def check(self, grant: object, use: Use, now: float) -> None:
        """Raises InvalidGrant unless `grant` is one of this errand's, admits to `use`, and has not expired at `now`."""
        if not isinstance(grant, str) or len(grant) > _LONGEST or not grant.isascii():
            raise InvalidGrant("malformed_grant")
        text, _, signature = grant.partition(".")
        if not hmac.compare_digest(signature, self._signature(text)):
            raise InvalidGrant("wrong_signature")
        errand, expires = _parse(text)
        for name in ("tenant", "job", "attempt", "version"):
            if getattr(errand, name) != getattr(self.errand, name):
                raise InvalidGrant(f"other_{name}")
        if use not in errand.uses or use not in self.errand.uses:
            raise InvalidGrant("use_not_granted")
        if expires <= now:
            raise InvalidGrant("expired")

    def _signature(self, text: str) -> str:
        return _encode(hmac.digest(self._key, text.encode(), sha256))


def _parse(text: str) -> tuple[Errand, float]:
    """What the claims say. The signature was good, so that only a broker's mistake can fail here."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        expires = float(claims.pop("expires"))
        return Errand(**{**claims, "uses": frozenset(map(Use, claims["uses"]))}), expires
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error):
        raise InvalidGrant("malformed_claims") from None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
