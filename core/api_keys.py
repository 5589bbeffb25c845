"""API keys: `ad_live_<32 random characters><6 of checksum>`, shown once and stored as an HMAC.

The checksum lets a secret scanner, and our own gateway, tell a key from a random string without a database.
"""

import hmac
import secrets
import string
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from core import audit
from core.clock import now
from core.config import get_settings
from core.models.api_keys import ApiKey, ApiKeyModel
from core.models.tenants import Tenant, TenantStatus
from core.networks import is_within
from core.tenancy import EVERYTHING, Actor, ActorKind, Endpoint, Reach, TenantScope, key_permissions

PREFIX = "ad_live_"
SHOWN_PREFIX_LENGTH = len(PREFIX) + 4
MAXIMUM_ACTIVE = 50
"""Keys of a tenant that are neither revoked nor expired: each may make so many requests a minute."""

LAST_USED_RESOLUTION = timedelta(minutes=1)

_ALPHABET = string.digits + string.ascii_letters
_BODY_LENGTH = 32
_CHECKSUM_LENGTH = 6


class InvalidApiKey(Exception):
    """The key is malformed, unknown, revoked or expired; the message says which, and never holds the key."""


class TooManyKeys(Exception):
    """The tenant has as many active keys as it may; the message says what to do."""


class AddressNotAllowed(Exception):
    """The key is good, but not where the request comes from."""


class DefaultModelOutOfReach(Exception):
    """The default model is none of those that the key is to be limited to; the message says what to do."""


class AlreadyReplaced(Exception):
    """The key has been replaced before; the message says what to do."""


class TenantSuspended(Exception):
    """The key is good, but its tenant is suspended."""


@dataclass(frozen=True, slots=True)
class VerifiedKey:
    """A key that was checked: its row's id, the scope that it opens, and its own settings, where it has any.

    `is_payment_missing` says that its tenant is suspended until it has paid.
    """

    id: UUID
    scope: TenantScope
    default_model_id: UUID | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    is_payment_missing: bool = False


def generate() -> str:
    """A new key in plain text, with about 190 bits of randomness."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_BODY_LENGTH))
    return PREFIX + body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether `key` has our prefix, length and checksum."""
    body, checksum = key[len(PREFIX) : -_CHECKSUM_LENGTH], key[-_CHECKSUM_LENGTH:]
    return (
        key.startswith(PREFIX)
        and key.isascii()
        and len(body) == _BODY_LENGTH
        and hmac.compare_digest(checksum, _checksum(body))
    )


def digest(key: str) -> bytes:
    """HMAC-SHA256 of `key` under the pepper: what the database holds instead of the key."""
    return hmac.digest(get_settings().api_key_pepper.encode(), key.encode(), sha256)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """A key's own limits a minute; None leaves it to the defaults."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


def create(
    session: Session,
    scope: TenantScope,
    name: str,
    *,
    may_predict: bool = True,
    may_manage: bool = False,
    default_model_id: UUID | None = None,
    reach: Reach = EVERYTHING,
    limits: KeyLimits = KeyLimits(),
    networks: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Add a key to `scope`'s tenant: its row, and the plain key, which nothing can show again.

    One that `may_predict` calls models, one that `may_manage` has the permissions to send files, start fine-tunes
    and delete models. Beyond its `reach` there are no models and no endpoints for it. The model of `default_model_id`
    answers requests that name none. With `networks` (CIDR), only requests from there are let in.

    Raises TooManyKeys and DefaultModelOutOfReach.
    """
    if default_model_id is not None and not reach.covers(default_model_id):
        raise DefaultModelOutOfReach("Choose the default model among the models that the key may call.")
    key = ApiKey(
        tenant_id=scope.tenant_id,
        name=name,
        may_predict=may_predict,
        may_manage=may_manage,
        is_limited_to_models=reach.models is not None,
        endpoints=None if reach.endpoints is None else sorted(reach.endpoints),
        default_model_id=default_model_id,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        networks=list(networks) or None,
        expires_at=expires_at,
    )
    plain = _add(session, scope, key, reach.models or ())
    audit.record(session, scope, "key.created", key, {"name": name, "may_manage": may_manage})
    return key, plain


def replace(session: Session, scope: TenantScope, key: ApiKey, overlap: timedelta) -> tuple[ApiKey, str]:
    """Make a key to follow `key`, which goes on for `overlap` so that apps can be moved over one by one.

    The new one has its name and settings, and lasts as long from now on as `key` was made for. Raises TooManyKeys,
    and AlreadyReplaced for a key that is replaced, revoked or expired.
    """
    at = now()
    session.refresh(key, with_for_update=True)
    if key.replaced_by_id is not None or not is_active(key):
        raise AlreadyReplaced("This key is replaced, revoked or expired. Replace the one that follows it.")
    copied = {name: getattr(key, name) for name in _COPIED}
    lasts = None if key.expires_at is None else key.expires_at - key.created_at
    new = ApiKey(tenant_id=scope.tenant_id, expires_at=None if lasts is None else at + lasts, **copied)
    plain = _add(session, scope, new, reach_of(session, key).models or ())
    key.replaced_by_id = new.id
    key.expires_at = min(at + overlap, key.expires_at or at + overlap)
    detail = {"name": key.name, "prefix": key.prefix, "expires_at": key.expires_at.isoformat()}
    audit.record(session, scope, "key.replaced", key, detail)
    session.flush()
    return new, plain


_COPIED = (
    "name",
    "may_predict",
    "may_manage",
    "is_limited_to_models",
    "endpoints",
    "default_model_id",
    "requests_per_minute",
    "tokens_per_minute",
    "networks",
)


def _add(session: Session, scope: TenantScope, key: ApiKey, models: Collection[UUID | str]) -> str:
    """Store the row of a new key, and the ids of the models it is limited to; the plain key. Raises TooManyKeys."""
    active = select(func.count()).where(ApiKey.tenant_id == scope.tenant_id, active_keys())
    if (session.scalar(active) or 0) >= MAXIMUM_ACTIVE:
        raise TooManyKeys(f"A tenant may have {MAXIMUM_ACTIVE} active keys. Revoke one that nothing uses.")
    plain = generate()
    key.prefix = plain[:SHOWN_PREFIX_LENGTH]
    key.digest = digest(plain)
    key.created_by_id = scope.actor.id if scope.actor.kind is ActorKind.USER else None
    session.add(key)
    session.flush()
    for model in models:
        one = {"model_id": model} if isinstance(model, UUID) else {"base_model": model}
        session.add(ApiKeyModel(tenant_id=scope.tenant_id, api_key_id=key.id, **one))
    session.flush()
    return plain


def reach_of(session: Session, key: ApiKey) -> Reach:
    """How far `key` goes."""
    models = None
    if key.is_limited_to_models:
        rows = session.scalars(select(ApiKeyModel).where(ApiKeyModel.api_key_id == key.id))
        models = frozenset(row.model_id or row.base_model or "" for row in rows)
    return Reach(models, _endpoints(key.endpoints))


def _endpoints(names: Collection[str] | None) -> frozenset[Endpoint] | None:
    return None if names is None else frozenset(map(Endpoint, names))


def active_keys() -> ColumnElement[bool]:
    """That a key is neither revoked nor expired."""
    return and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()))


def is_active(key: ApiKey) -> bool:
    """Whether the key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now())


def revoke(session: Session, scope: TenantScope, key: ApiKey) -> None:
    """Make `key` useless from the next request on. Revoking twice changes nothing."""
    if key.revoked_at is None:
        key.revoked_at = now()
        audit.record(session, scope, "key.revoked", key, {"name": key.name})


def verify(session: Session | Connection, plain: str, address: str | None = None) -> VerifiedKey:
    """Find whose key `plain` is. `session` is an operator's: the tenant is not known yet.

    `address` is the IP address that the request comes from. Raises InvalidApiKey, AddressNotAllowed or
    TenantSuspended.
    """
    if not is_well_formed(plain):
        raise InvalidApiKey("That is not an Adaptary API key: it does not have the form ad_live_….")
    key = session.execute(_BY_DIGEST, {"digest": digest(plain)}).one_or_none()
    if key is None:
        raise InvalidApiKey("No such API key. Create one on the portal's page 'API keys'.")
    if key.revoked_at is not None:
        raise InvalidApiKey("This API key was revoked. Create another on the portal's page 'API keys'.")
    if key.expires_at is not None and key.expires_at <= now():
        raise InvalidApiKey("This API key has expired. Create another on the portal's page 'API keys'.")
    if key.networks and not is_within(address, key.networks):
        raise AddressNotAllowed(
            f"This API key is good from certain networks only, and {address} is in none of them. "
            "The portal's page 'API keys' shows which."
        )
    if key.status is TenantStatus.DELETING:
        raise TenantSuspended("This tenant is to be deleted. An admin can take that back in the portal.")
    if key.status is not TenantStatus.ACTIVE:
        raise TenantSuspended("This tenant is suspended. Ask the operator why.")
    permissions = key_permissions(may_predict=key.may_predict, may_manage=key.may_manage)
    models = None
    if key.is_limited_to_models:
        models = frozenset((*(key.model_ids or ()), *(key.base_models or ())))
    reach = Reach(models, _endpoints(key.endpoints))
    return VerifiedKey(
        id=key.id,
        scope=TenantScope(key.tenant_id, Actor(ActorKind.API_KEY, key.id, key.name), permissions, reach),
        default_model_id=key.default_model_id,
        requests_per_minute=key.requests_per_minute,
        tokens_per_minute=key.tokens_per_minute,
        is_payment_missing=key.payment_suspended_at is not None,
    )


def _limited_to(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """What the key's rows of models hold in `column`, as an array; read for limited keys alone."""
    held = select(func.array_agg(column)).where(
        ApiKeyModel.tenant_id == ApiKey.tenant_id, ApiKeyModel.api_key_id == ApiKey.id, column.is_not(None)
    )
    return case((ApiKey.is_limited_to_models, held.scalar_subquery()))


# Made once: to build it anew at every request takes longer than to run it.
_BY_DIGEST = (
    select(
        ApiKey.id,
        ApiKey.tenant_id,
        ApiKey.name,
        ApiKey.may_predict,
        ApiKey.may_manage,
        ApiKey.is_limited_to_models,
        _limited_to(ApiKeyModel.model_id).label("model_ids"),
        _limited_to(ApiKeyModel.base_model).label("base_models"),
        ApiKey.endpoints,
        ApiKey.networks,
        ApiKey.expires_at,
        ApiKey.default_model_id,
        ApiKey.requests_per_minute,
        ApiKey.tokens_per_minute,
        ApiKey.revoked_at,
        Tenant.status,
        Tenant.payment_suspended_at,
    )
    .join(Tenant, Tenant.id == ApiKey.tenant_id)
    .where(ApiKey.digest == bindparam("digest"))
)


def touch(session: Session | Connection, key_id: UUID, at: datetime) -> None:
    """Note that the key was used, to the minute: a write at every request would cost more than it tells."""
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id)
        .where(ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at < at - LAST_USED_RESOLUTION))
        .values(last_used_at=at)
    )


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(_CHECKSUM_LENGTH):
        number, index = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[index])
    return "".join(reversed(characters))
