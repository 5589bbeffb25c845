"""A tenant's privacy policy: the version in force, and the next one."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from core import audit
from core.models.privacy import PrivacyPolicy
from core.privacy.entities import DEFAULT_POLICY, ENTITY_NAMES
from core.privacy.types import Policy
from core.tenancy import ActorKind, Permission, TenantScope

MAX_ALLOWED_VALUES = 1000
MAX_ALLOWED_VALUE_LENGTH = 200
MAX_REASON_LENGTH = 500


class PolicyError(Exception):
    """A policy that cannot be; `field` says which part, the message what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def current_policy(session: Session, tenant_id: UUID) -> Policy:
    """The tenant's policy in force; DEFAULT_POLICY where it has never set one."""
    return policy_of(find_latest(session, tenant_id))


def policy_of(row: PrivacyPolicy | Row[Any] | None) -> Policy:
    """The policy that a row, or one of a query with its columns, holds; DEFAULT_POLICY for none."""
    if row is None:
        return DEFAULT_POLICY
    return Policy(
        # An entity that this release no longer knows cannot be found.
        entities=frozenset(row.entities) & ENTITY_NAMES,
        allow_list=frozenset(row.allow_list),
        enabled=row.enabled,
        version=row.version,
    )


def find_latest(session: Session, tenant_id: UUID) -> PrivacyPolicy | None:
    """The row of the policy in force, with who set it and why."""
    return session.scalar(
        select(PrivacyPolicy)
        .where(PrivacyPolicy.tenant_id == tenant_id)
        .order_by(PrivacyPolicy.version.desc())
        .limit(1)
    )


def change_policy(
    session: Session,
    scope: TenantScope,
    *,
    entities: Iterable[str],
    allow_list: Iterable[str] = (),
    enabled: bool = True,
    reason: str | None = None,
) -> PrivacyPolicy:
    """Put the next version of the tenant's policy in force, audited. It holds for uploads and requests to come.

    `allow_list`: values that are never replaced, in any spelling. `reason`: needed to switch protection off.
    Raises PermissionDenied and PolicyError.
    """
    scope.require(Permission.PRIVACY_WRITE)
    chosen = _check_entities(entities, enabled)
    allowed = _check_allow_list(allow_list)
    reason = _check_reason(reason, enabled)
    # Two admins at once must not make the same version; a rollback frees the lock too.
    session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"privacy policy {scope.tenant_id}", 0)))
    )
    latest = find_latest(session, scope.tenant_id)
    policy = PrivacyPolicy(
        tenant_id=scope.tenant_id,
        version=1 if latest is None else latest.version + 1,
        entities=chosen,
        allow_list=allowed,
        enabled=enabled,
        reason=reason,
        created_by_id=scope.actor.id if scope.actor.kind is ActorKind.USER else None,
    )
    session.add(policy)
    session.flush()
    # Allowed values may be people's: the log gets their number.
    detail = {
        "version": policy.version,
        "enabled": enabled,
        "entities": chosen,
        "allowed_values": len(allowed),
        "reason": reason,
    }
    audit.record(session, scope, "policy.changed", policy, detail)
    return policy


def _check_entities(entities: Iterable[str], enabled: bool) -> list[str]:
    chosen = sorted(set(entities))
    unknown = [name for name in chosen if name not in ENTITY_NAMES]
    if unknown:
        raise PolicyError("entities", f"There is no kind of personal data named {', '.join(unknown)}.")
    if enabled and not chosen:
        raise PolicyError("entities", "Choose at least one, or switch the policy off.")
    return chosen


def _check_allow_list(allow_list: Iterable[str]) -> list[str]:
    allowed = sorted({" ".join(value.split()) for value in allow_list} - {""})
    if len(allowed) > MAX_ALLOWED_VALUES:
        raise PolicyError(
            "allow_list", f"Give at most {MAX_ALLOWED_VALUES} values; these are {len(allowed)}."
        )
    if any("\0" in value for value in allowed):
        raise PolicyError("allow_list", "Take out the characters that cannot be seen.")
    if any(len(value) > MAX_ALLOWED_VALUE_LENGTH for value in allowed):
        raise PolicyError("allow_list", f"Give values of at most {MAX_ALLOWED_VALUE_LENGTH} characters.")
    return allowed


def _check_reason(reason: str | None, enabled: bool) -> str | None:
    reason = (reason or "").strip() or None
    if not enabled and reason is None:
        raise PolicyError("reason", "Say why personal data is not to be replaced.")
    if reason is not None and "\0" in reason:
        raise PolicyError("reason", "Take out the characters that cannot be seen.")
    if reason is not None and len(reason) > MAX_REASON_LENGTH:
        raise PolicyError("reason", f"Give at most {MAX_REASON_LENGTH} characters.")
    return reason
