"""The second factor: time-based codes (TOTP, RFC 6238: SHA-1, 6 digits, 30 s), and recovery codes for without.

`session` sees the person's row, and the caller has locked it: a code that is checked twice at once is good once.
"""

import hmac
import secrets
import string
from collections.abc import Sequence
from hashlib import sha256

import pyotp
from sqlalchemy.orm import Session

from core import audit
from core.clock import now
from core.config import get_settings
from core.crypto import KeyRejected, derive_key, seal, unseal
from core.models.staff import StaffMember
from core.models.users import User
from core.storage import tenant_key
from core.tenancy import TenantScope
from portal.accounts import AccountError

RECOVERY_CODES = 10
_STEP_SECONDS = 30
_DRIFT = 1
"""Steps by which the clock of somebody's device may be off."""

_ALPHABET = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("01lo")))
_HALF = 5
_WRONG = "This code is not right, or was used already. Wait for the next one."

Person = User | StaffMember


def new_secret() -> str:
    """A random secret of 160 bits, in base 32, as authenticator apps take it."""
    return pyotp.random_base32()


def address_for_app(person: Person, secret: str) -> str:
    """The otpauth:// address that an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=person.email, issuer_name="Adaptary")


def turn_on(session: Session, person: Person, secret: str, code: str) -> Sequence[str]:
    """Make `secret` the person's second factor, once `code` shows that their app has it: new recovery codes.

    Raises AccountError for a wrong code, or where there is a second factor already.
    """
    if person.totp_secret is not None:
        raise AccountError("code", "You have a second factor already.")
    step = _step_of(secret, code) if secret else None
    if step is None:
        raise AccountError("code", _WRONG)
    person.totp_secret = seal(_key(session, person), secret.encode(), person.id.bytes)
    person.totp_step = step
    return _replace_recovery_codes(person, secret)


def use_code(session: Session, person: Person, code: str) -> None:
    """Use up `code`, of the app or for recovery. Raises AccountError where it is wrong, or was used before."""
    if person.totp_secret is None:
        raise AccountError("code", "You have no second factor.")
    secret = _secret(session, person)
    step = _step_of(secret, code)
    if step is not None and step > (person.totp_step or 0):
        person.totp_step = step
        return
    digest = _digest(secret, code)
    left = [kept for kept in person.recovery_digests or () if not hmac.compare_digest(kept, digest)]
    if len(left) == len(person.recovery_digests or ()):
        raise AccountError("code", _WRONG)
    person.recovery_digests = left


def renew_recovery_codes(session: Session, person: Person, code: str) -> Sequence[str]:
    """New recovery codes in place of the old ones. Raises AccountError as `use_code` does."""
    use_code(session, person, code)
    return _replace_recovery_codes(person, _secret(session, person))


def turn_off(session: Session, person: Person, code: str) -> None:
    """Let the person sign in with their password alone. Raises AccountError as `use_code` does."""
    use_code(session, person, code)
    _forget(person)


def take_away(session: Session, scope: TenantScope, user: User) -> None:
    """Take a member's second factor away, who has lost it. Raises AccountError where an admin means their own."""
    if user.id == scope.actor.id:
        raise AccountError(
            "code", "Turn your own second factor off on the page of your account, with a code."
        )
    if user.totp_secret is not None:
        _forget(user)
        audit.record(session, scope, "member.second_factor_taken_away", user, {"email": user.email})


def _forget(person: Person) -> None:
    person.totp_secret = person.totp_step = person.recovery_digests = None


def _replace_recovery_codes(person: Person, secret: str) -> Sequence[str]:
    codes = [f"{_random()}-{_random()}" for _ in range(RECOVERY_CODES)]
    person.recovery_digests = [_digest(secret, code) for code in codes]
    return codes


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_HALF))


def _step_of(secret: str, code: str) -> int | None:
    """The time step that `code` is of, if that is now or next to it."""
    digits = "".join(code.split())
    current = int(now().timestamp()) // _STEP_SECONDS
    totp = pyotp.TOTP(secret)
    for step in range(current - _DRIFT, current + _DRIFT + 1):
        if pyotp.utils.strings_equal(totp.at(step * _STEP_SECONDS), digits):
            return step
    return None


def _digest(secret: str, code: str) -> str:
    """HMAC-SHA256 of a recovery code under the person's secret, in hex, however it was typed."""
    letters = "".join(code.lower().replace("-", " ").split())
    return hmac.digest(secret.encode(), letters.encode(), sha256).hex()


def _secret(session: Session, person: Person) -> str:
    """The secret of a person who has one. Raises KeyRejected where it does not open."""
    if isinstance(person, StaffMember):
        reseal(person)
    return unseal(_key(session, person), person.totp_secret or b"", person.id.bytes).decode()


def reseal(member: StaffMember) -> bool:
    """Seal the member's secret under MASTER_KEY where MASTER_KEY_OLD sealed it; whether that was so."""
    settings = get_settings()
    if member.totp_secret is None or not settings.master_key_old:
        return False
    try:
        secret = unseal(_for_secrets(settings.master_key_old), member.totp_secret, member.id.bytes)
    except KeyRejected:
        return False
    member.totp_secret = seal(_for_secrets(settings.master_key), secret, member.id.bytes)
    return True


def _key(session: Session, person: Person) -> bytes:
    """What the person's secret is sealed with: a user's by their tenant's key, so that it goes with that."""
    if isinstance(person, User):
        return _for_secrets(tenant_key(session, person.tenant_id).data_key)
    return _for_secrets(get_settings().master_key)


def _for_secrets(key: bytes) -> bytes:
    return derive_key(key, "second factor")
