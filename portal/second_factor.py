"""The second factor: time-based codes (TOTP, RFC 6238: SHA-1, 6 digits, 30 s), passkeys, and recovery codes for without.

`session` sees the person's row, and the caller has locked it: a code that is checked twice at once is good once.
"""

import hmac
import secrets
import string
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import pyotp
from sqlalchemy.orm import Session

from core import audit
from core.clock import now
from core.config import get_settings
from core.crypto import KeyRejected, derive_key, seal, unseal
from core.models.account_mail import MailKind
from core.models.staff import StaffMember
from core.models.users import User
from core.storage import tenant_key
from core.tenancy import Actor, TenantScope
from portal import account_mail, passkeys
from portal.accounts import AccountError

RECOVERY_CODES = 10
_STEP_SECONDS = 30
_DRIFT = 1
"""Steps by which the clock of somebody's device may be off."""

_ALPHABET = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("01lo")))
_HALF = 5
_SECRET_BYTES = 32
_WRONG = "This code is not right, or was used already. Wait for the next one."

Person = User | StaffMember


def new_secret() -> str:
    """A random secret of 160 bits, in base 32, as authenticator apps take it."""
    return pyotp.random_base32()


def address_for_app(person: Person, secret: str) -> str:
    """The otpauth:// address that an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=person.email, issuer_name="Adaptary")


def has_any(session: Session, person: Person) -> bool:
    """Whether the person is asked for more than their password."""
    return person.totp_secret is not None or passkeys.has_any(session, person)


def among(session: Session, users: Sequence[User]) -> set[UUID]:
    """The ids of those of `users` who have a second factor."""
    with_app = {user.id for user in users if user.totp_secret is not None}
    return with_app | passkeys.owners_among(session, users)


def turn_on(session: Session, person: Person, secret: str, code: str) -> Sequence[str]:
    """Have `secret` make the person's codes, once `code` shows that their app has it: new recovery codes.

    Raises AccountError for a wrong code, or where an app makes codes already.
    """
    if person.totp_secret is not None:
        raise AccountError("code", "You have a second factor already.")
    step = _step_of(secret, code) if secret else None
    if step is None:
        raise AccountError("code", _WRONG)
    person.totp_secret = seal(_key(session, person), secret.encode(), person.id.bytes)
    person.totp_step = step
    person.totp_since = now()
    return renew_recovery_codes(session, person)


def use_code(session: Session, person: Person, code: str) -> None:
    """Use up `code`, of the app or for recovery. Raises AccountError where it is wrong, or was used before."""
    if person.totp_secret is not None:
        step = _step_of(_open(session, person, "totp_secret"), code)
        if step is not None and step > (person.totp_step or 0):
            person.totp_step = step
            return
    if person.recovery_secret is None:
        raise AccountError("code", _WRONG)
    digest = _digest(_open(session, person, "recovery_secret"), code)
    left = [kept for kept in person.recovery_digests or () if not hmac.compare_digest(kept, digest)]
    if len(left) == len(person.recovery_digests or ()):
        raise AccountError("code", _WRONG)
    person.recovery_digests = left


def renew_recovery_codes(session: Session, person: Person) -> Sequence[str]:
    """New recovery codes in place of the old ones."""
    secret = secrets.token_hex(_SECRET_BYTES)
    codes = [f"{_random()}-{_random()}" for _ in range(RECOVERY_CODES)]
    person.recovery_secret = seal(_key(session, person), secret.encode(), person.id.bytes)
    person.recovery_digests = [_digest(secret, code) for code in codes]
    return codes


def renew_with_code(session: Session, person: Person, code: str) -> Sequence[str]:
    """New recovery codes for whoever has one, of the app or for recovery. Raises AccountError as `use_code` does."""
    use_code(session, person, code)
    return renew_recovery_codes(session, person)


def turn_off(session: Session, person: Person, code: str) -> None:
    """Take the app's codes away; without a passkey the person signs in with their password alone.

    Raises AccountError as `use_code` does.
    """
    use_code(session, person, code)
    _forget_app(session, person)


def take_away(session: Session, scope: TenantScope, user: User) -> None:
    """Take all of a member's second factors away, who has lost them. Raises AccountError where an admin means their own."""
    if user.id == scope.actor.id:
        raise AccountError(
            "code", "Turn your own second factor off on the page of your account, with a code."
        )
    if has_any(session, user):
        forget_all(session, user)
        audit.record(session, scope, "member.second_factor_taken_away", user, {"email": user.email})
        account_mail.send(session, user, MailKind.SECOND_FACTOR_TAKEN_AWAY)


def reset(session: Session, person: Person, actor: Actor) -> bool:
    """Take all of the second factors away of somebody who has lost them; whether there were any.

    `session` is an operator session, and `actor` whoever does it.
    """
    if not has_any(session, person):
        return False
    forget_all(session, person)
    if isinstance(person, User):
        audit.record_for_tenant(
            session,
            person.tenant_id,
            actor,
            "member.second_factor_taken_away",
            person,
            {"email": person.email},
        )
    audit.record_staff(session, actor, "second_factor.taken_away", person.__tablename__, person.id)
    account_mail.send(session, person, MailKind.SECOND_FACTOR_TAKEN_AWAY)
    return True


def forget_all(session: Session, person: Person) -> None:
    """Have the person sign in with their password alone."""
    passkeys.remove_all(session, person)
    _forget_app(session, person)


def forget_since(session: Session, person: Person, at: datetime) -> None:
    """Take away what was added from `at` on, which may not have been by the person, and the recovery codes.

    Nothing says when those were made: whoever is left with a second factor makes new ones.
    """
    passkeys.remove_since(session, person, at)
    if person.totp_since is not None and person.totp_since >= at:
        _forget_app(session, person)
    person.recovery_secret = person.recovery_digests = None


def require_one(session: Session, person: Person) -> None:
    """Raise AccountError where the person has none (any more)."""
    if not has_any(session, person):
        raise AccountError("current", "You are asked to have a second factor: add another one first.")


def tidy(session: Session, person: Person) -> None:
    """Forget the recovery codes of somebody who has nothing left to recover."""
    if not has_any(session, person):
        person.recovery_secret = person.recovery_digests = None


def _forget_app(session: Session, person: Person) -> None:
    person.totp_secret = person.totp_step = person.totp_since = None
    tidy(session, person)


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


def _open(session: Session, person: Person, column: str) -> str:
    """The secret that is sealed in the person's `column`. Raises KeyRejected where it does not open."""
    if isinstance(person, StaffMember):
        reseal(person)
    return unseal(_key(session, person), getattr(person, column), person.id.bytes).decode()


def reseal(member: StaffMember) -> bool:
    """Seal the member's secrets under MASTER_KEY where MASTER_KEY_OLD sealed them; whether that was so of any."""
    settings = get_settings()
    resealed = False
    for column in ("totp_secret", "recovery_secret") if settings.master_key_old else ():
        try:
            secret = unseal(
                _for_secrets(settings.master_key_old), getattr(member, column) or b"", member.id.bytes
            )
        except KeyRejected:
            continue
        setattr(member, column, seal(_for_secrets(settings.master_key), secret, member.id.bytes))
        resealed = True
    return resealed


def _key(session: Session, person: Person) -> bytes:
    """What the person's secrets are sealed with: a user's by their tenant's key, so that it goes with that."""
    if isinstance(person, User):
        return _for_secrets(tenant_key(session, person.tenant_id).data_key)
    return _for_secrets(get_settings().master_key)


def _for_secrets(key: bytes) -> bytes:
    return derive_key(key, "second factor")
