"""Passkeys (WebAuthn): added, used, listed and removed. docs/adr/0009-passkeys.md says why these choices.

`session` sees the person's own rows: their tenant's, or an operator's.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import structlog
import webauthn
from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from webauthn.helpers import (
    options_to_json,
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from core.clock import now
from core.config import get_settings
from core.models.passkeys import StaffPasskey, UserPasskey
from core.models.staff import StaffMember
from core.models.users import User
from portal.accounts import AccountError, may_sign_in
from portal.challenges import LIFETIME

log = structlog.get_logger(__name__)

MOST = 20
"""Passkeys of one person."""

_LONGEST_ID = 1023
_TIMEOUT_MS = int(LIFETIME.total_seconds() * 1000)
_NOT_ADDED = "This passkey could not be added. Try again."
_TOO_OLD = "That took too long, or was sent twice. Try again."
_NOT_SIGNED_IN = "This passkey does not sign you in. It may have been removed: try another, or your password."

Person = User | StaffMember
Passkey = UserPasskey | StaffPasskey
Verified = TypeVar("Verified")


def are_offered() -> bool:
    """Whether browsers make passkeys for this portal: they are bound to a host's name, and an address has none."""
    try:
        ip_address(_host())
    except ValueError:
        return True
    return False


def listed(session: Session, person: Person) -> Sequence[Passkey]:
    """The person's passkeys, the oldest first."""
    table = _table(person)
    passkeys: Sequence[Passkey] = session.scalars(
        select(table).where(_is_of(person)).order_by(table.created_at, table.id)
    ).all()
    return passkeys


def has_any(session: Session, person: Person) -> bool:
    return bool(session.scalar(select(exists().where(_is_of(person)))))


def owners_among(session: Session, users: Sequence[User]) -> set[UUID]:
    """The ids of those of `users` who have a passkey."""
    ids = [user.id for user in users]
    return set(session.scalars(select(UserPasskey.user_id).where(UserPasskey.user_id.in_(ids))))


def options_to_add(session: Session, person: Person, challenge: bytes) -> str:
    """What the browser is to be asked for, as JSON: a passkey that signs in by itself and looks who is there.

    Raises AccountError for a person who has as many as they may.
    """
    have = listed(session, person)
    if len(have) >= MOST:
        raise AccountError("name", f"You have {MOST} passkeys. Remove one that you do not use.")
    return options_to_json(
        webauthn.generate_registration_options(
            rp_id=_host(),
            rp_name="Adaptary",
            user_id=person.id.bytes,
            user_name=person.email,
            user_display_name=person.name,
            challenge=challenge,
            timeout=_TIMEOUT_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[_descriptor(passkey) for passkey in have],
        )
    )


def add(
    session: Session, person: Person, challenge: bytes | None, credential: str | None, name: str
) -> Passkey:
    """Keep the passkey that a browser has made for `challenge`; `credential` is what it says, as JSON.

    Raises AccountError where that is not what was asked for, or there is no challenge (any more).
    """
    signed = _require(challenge)
    said = _try(lambda: parse_registration_credential_json(credential or ""))
    verified = _try(
        lambda: webauthn.verify_registration_response(
            credential=said or {},
            expected_challenge=signed,
            expected_rp_id=_host(),
            expected_origin=get_settings().portal_url,
            require_user_verification=True,
        )
    )
    if said is None or verified is None or len(verified.credential_id) > _LONGEST_ID:
        raise AccountError("credential", _NOT_ADDED)
    columns: dict[str, Any] = {
        "name": name,
        "credential_id": verified.credential_id,
        "public_key": verified.credential_public_key,
        "sign_count": verified.sign_count,
        "transports": [transport.value for transport in said.response.transports or ()] or None,
    }
    passkey: Passkey = (
        UserPasskey(tenant_id=person.tenant_id, user_id=person.id, **columns)
        if isinstance(person, User)
        else StaffPasskey(staff_id=person.id, **columns)
    )
    session.add(passkey)
    try:
        session.flush()
    except IntegrityError:  # somebody has it, here or in another tenant: which of both is nobody's business
        session.rollback()
        raise AccountError("credential", _NOT_ADDED) from None
    return passkey


def remove(session: Session, person: Person, passkey_id: UUID) -> Passkey | None:
    """Forget the person's passkey of that id; None where they have none of that id."""
    table = _table(person)
    passkey: Passkey | None = session.scalars(
        select(table).where(table.id == passkey_id, _is_of(person)).with_for_update()
    ).one_or_none()
    if passkey is not None:
        session.delete(passkey)
        session.flush()
    return passkey


def remove_all(session: Session, person: Person) -> None:
    session.execute(delete(_table(person)).where(_is_of(person)))


def remove_since(session: Session, person: Person, at: datetime) -> None:
    """Forget those that were added from `at` on."""
    table = _table(person)
    session.execute(delete(table).where(_is_of(person), table.created_at >= at))


def options_to_sign_in(challenge: bytes) -> str:
    """What a browser is to be asked for, as JSON, by which one signs in alone: any passkey that it has for us."""
    return options_to_json(
        webauthn.generate_authentication_options(
            rp_id=_host(),
            challenge=challenge,
            timeout=_TIMEOUT_MS,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def options_for_second_factor(session: Session, person: Person, challenge: bytes) -> str:
    """The same for one whose password was right: one of the person's own passkeys."""
    return options_to_json(
        webauthn.generate_authentication_options(
            rp_id=_host(),
            challenge=challenge,
            timeout=_TIMEOUT_MS,
            allow_credentials=[_descriptor(passkey) for passkey in listed(session, person)],
            user_verification=UserVerificationRequirement.PREFERRED,
        )
    )


def find_owner(session: Session, challenge: bytes | None, credential: str | None) -> Person:
    """Who signs in by `credential` alone, for which the device has looked who is there: both factors in one.

    `session` is an operator session. Raises AccountError, in the same words whatever is wrong with the passkey.
    """
    signed = _require(challenge)
    said = _try(lambda: parse_authentication_credential_json(credential or ""))
    handle = said.response.user_handle if said else None
    if said is None or handle is None or len(handle) != len(UUID(int=0).bytes):
        raise AccountError("credential", _NOT_SIGNED_IN)
    person_id = UUID(bytes=handle)
    person = session.get(User, person_id) or session.get(StaffMember, person_id)
    if person is None or not may_sign_in(session, person):
        raise AccountError("credential", _NOT_SIGNED_IN)
    _use(session, person, signed, said, looked_who_is_there=True)
    return person


def use_as_second_factor(
    session: Session, person: Person, challenge: bytes | None, credential: str | None
) -> None:
    """Let `credential` stand for a code, after the password. Raises AccountError where it is not the person's."""
    signed = _require(challenge)
    said = _try(lambda: parse_authentication_credential_json(credential or ""))
    if said is None:
        raise AccountError("credential", _NOT_SIGNED_IN)
    _use(session, person, signed, said, looked_who_is_there=False)


def _use(
    session: Session,
    person: Person,
    challenge: bytes,
    said: AuthenticationCredential,
    *,
    looked_who_is_there: bool,
) -> None:
    """Check what the person's passkey has signed, and note its use. Raises AccountError."""
    table = _table(person)
    passkey: Passkey | None = session.scalars(
        select(table)
        .where(table.credential_id == said.raw_id, _is_of(person))
        .with_for_update()  # two uses at once cannot both be newer than the last
    ).one_or_none()
    if passkey is None:
        raise AccountError("credential", _NOT_SIGNED_IN)
    verified = _try(
        lambda: webauthn.verify_authentication_response(
            credential=said,
            expected_challenge=challenge,
            expected_rp_id=_host(),
            expected_origin=get_settings().portal_url,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=looked_who_is_there,
        )
    )
    if verified is None:
        raise AccountError("credential", _NOT_SIGNED_IN)
    passkey.sign_count = verified.new_sign_count
    passkey.last_used_at = now()


def _require(challenge: bytes | None) -> bytes:
    if challenge is None:
        raise AccountError("credential", _TOO_OLD)
    return challenge


def _try(verify: Callable[[], Verified]) -> Verified | None:
    """What `verify` returns; None for anything that it stumbles over: what it reads comes from outside."""
    try:
        return verify()
    except Exception as error:
        log.info("passkey_refused", reason=type(error).__name__)
        return None


def _descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(transport) for transport in passkey.transports or ()]
    return PublicKeyCredentialDescriptor(id=passkey.credential_id, transports=transports or None)


def _host() -> str:
    """The host that passkeys are bound to: a portal that moves to another one leaves them behind."""
    return urlsplit(get_settings().portal_url).hostname or ""


def _table(person: Person) -> Any:
    return UserPasskey if isinstance(person, User) else StaffPasskey


def _is_of(person: Person) -> ColumnElement[bool]:
    return (
        UserPasskey.user_id == person.id if isinstance(person, User) else StaffPasskey.staff_id == person.id
    )
