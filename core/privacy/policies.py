"""A tenant's privacy policies, its own and its models': the version in force, and the next one."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from core import audit
from core.crypto import TenantKey
from core.models.models import Model
from core.models.privacy import PrivacyPolicy
from core.privacy.entities import CHOOSABLE, CUSTOM, DEFAULT_POLICY, ENTITY_NAMES
from core.privacy.normalise import normalise
from core.privacy.sealed_lists import open_lists, seal_lists
from core.privacy.types import Operator, Policy
from core.storage import tenant_key
from core.tenancy import ActorKind, Permission, TenantScope

MAX_LISTED_VALUES = 1000
MAX_LISTED_VALUE_LENGTH = 200
MIN_DENIED_VALUE_LENGTH = 2
MAX_REASON_LENGTH = 500

_CHOOSABLE = frozenset(entity.name for entity in CHOOSABLE)


class PolicyError(Exception):
    """A policy that cannot be; `field` says which part, the message what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NoSuchModel(Exception):
    """The tenant has no model of that id."""


def current_policy(session: Session, tenant_id: UUID, model_id: UUID | None = None) -> Policy:
    """The policy in force for the tenant's data, or for its model; DEFAULT_POLICY where none was ever set."""
    row = None if model_id is None else find_latest(session, tenant_id, model_id)
    if row is None or row.withdrawn:
        row = find_latest(session, tenant_id)
    return DEFAULT_POLICY if row is None else policy_of(row, tenant_key(session, tenant_id))


def policy_of(row: PrivacyPolicy | Row[Any], key: TenantKey) -> Policy:
    """The policy that a row, or one of a query with its columns, holds, whose tenant's key is `key`."""
    allowed, denied = open_lists(key, row.version, row.sealed_lists)
    return Policy(
        # An entity that this release no longer knows cannot be found.
        entities=frozenset(row.entities) & ENTITY_NAMES,
        allow_list=allowed,
        enabled=row.enabled,
        version=row.version,
        deny_list=denied,
        operators={entity: Operator(operator) for entity, operator in row.operators.items()},
    )


def find_latest(session: Session, tenant_id: UUID, model_id: UUID | None = None) -> PrivacyPolicy | None:
    """The latest row of the tenant's own policy, or of its model's, with who set it and why."""
    return session.scalar(
        select(PrivacyPolicy)
        .where(PrivacyPolicy.tenant_id == tenant_id, PrivacyPolicy.model_id.is_not_distinct_from(model_id))
        .order_by(PrivacyPolicy.version.desc())
        .limit(1)
    )


def change_policy(
    session: Session,
    scope: TenantScope,
    *,
    entities: Iterable[str],
    allow_list: Iterable[str] = (),
    deny_list: Iterable[str] = (),
    operators: Mapping[str, str] = MappingProxyType({}),
    enabled: bool = True,
    reason: str | None = None,
    model_id: UUID | None = None,
) -> PrivacyPolicy:
    """Put the next version of a policy in force, audited: the tenant's, or that of its model. It holds for uploads and
    requests to come.

    `allow_list`: values that are never replaced, in any spelling. `deny_list`: values that always are. `operators`: how
    entities are replaced; a pseudonym where one is not named. `reason`: needed to switch protection off.
    Raises PermissionDenied, NoSuchModel and PolicyError.
    """
    scope.require(Permission.PRIVACY_WRITE)
    allowed, denied = _check_list("allow_list", allow_list), _check_list("deny_list", deny_list)
    _check_apart(allowed, denied)
    policy = PrivacyPolicy(
        entities=_check_entities(entities, enabled, denied),
        operators=_check_operators(operators),
        enabled=enabled,
        reason=_check_reason(reason, enabled),
        model_id=model_id,
        withdrawn=False,
    )
    return _put_in_force(session, scope, policy, allowed, denied)


def list_value(session: Session, scope: TenantScope, value: str, *, denied: bool) -> PrivacyPolicy:
    """Have the tenant's next policy always (`denied`), or else never, replace `value`; all else stays. Audited.

    Raises PermissionDenied and PolicyError.
    """
    scope.require(Permission.PRIVACY_WRITE)
    _lock(session, scope.tenant_id)
    latest, policy = find_latest(session, scope.tenant_id), current_policy(session, scope.tenant_id)
    spelling = normalise(CUSTOM, value)
    allow_list, deny_list = (
        {listed for listed in values if normalise(CUSTOM, listed) != spelling}
        for values in (policy.allow_list, policy.deny_list)
    )
    (deny_list if denied else allow_list).add(value)
    return change_policy(
        session,
        scope,
        entities=policy.entities,
        allow_list=allow_list,
        deny_list=deny_list,
        operators=policy.operators,
        enabled=policy.enabled,
        reason=None if latest is None else latest.reason,
    )


def withdraw_policy(session: Session, scope: TenantScope, model_id: UUID) -> PrivacyPolicy:
    """Have the tenant's policy hold for its model again, audited. Raises PermissionDenied and NoSuchModel."""
    scope.require(Permission.PRIVACY_WRITE)
    policy = PrivacyPolicy(
        entities=[],
        operators={},
        enabled=True,
        model_id=model_id,
        withdrawn=True,
    )
    return _put_in_force(session, scope, policy)


def _put_in_force(
    session: Session,
    scope: TenantScope,
    policy: PrivacyPolicy,
    allowed: Collection[str] = (),
    denied: Collection[str] = (),
) -> PrivacyPolicy:
    if policy.model_id is not None and not _has_model(session, scope.tenant_id, policy.model_id):
        raise NoSuchModel
    _lock(session, scope.tenant_id)
    latest = session.scalar(
        select(func.max(PrivacyPolicy.version)).where(PrivacyPolicy.tenant_id == scope.tenant_id)
    )
    policy.tenant_id = scope.tenant_id
    policy.version = (latest or 0) + 1
    policy.sealed_lists = seal_lists(tenant_key(session, scope.tenant_id), policy.version, allowed, denied)
    policy.created_by_id = scope.actor.id if scope.actor.kind is ActorKind.USER else None
    session.add(policy)
    session.flush()
    # Listed values may be people's: the log gets their number.
    detail = {
        "version": policy.version,
        "model_id": None if policy.model_id is None else str(policy.model_id),
        "withdrawn": policy.withdrawn,
        "enabled": policy.enabled,
        "entities": policy.entities,
        "operators": policy.operators,
        "allowed_values": len(allowed),
        "denied_values": len(denied),
        "reason": policy.reason,
    }
    audit.record(session, scope, "policy.changed", policy, detail)
    return policy


def _lock(session: Session, tenant_id: UUID) -> None:
    """Until the transaction ends, no other makes the tenant's next version: two at once would make the same one."""
    session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"privacy policy {tenant_id}", 0)))
    )


def _has_model(session: Session, tenant_id: UUID, model_id: UUID) -> bool:
    model = select(Model.id).where(
        Model.tenant_id == tenant_id, Model.id == model_id, Model.deleted_at.is_(None)
    )
    return session.scalar(model) is not None


def _check_entities(entities: Iterable[str], enabled: bool, denied: list[str]) -> list[str]:
    chosen = sorted(set(entities))
    unknown = [name for name in chosen if name not in _CHOOSABLE]
    if unknown:
        raise PolicyError("entities", f"There is no kind of personal data named {', '.join(unknown)}.")
    if enabled and not chosen and not denied:
        raise PolicyError("entities", "Choose at least one, or switch the policy off.")
    return chosen


def _check_operators(operators: Mapping[str, str]) -> dict[str, Any]:
    """Those that are no pseudonym, which is what there is without one."""
    for entity, operator in operators.items():
        if entity not in ENTITY_NAMES or operator not in set(Operator):
            raise PolicyError("operators", f"There is no way {operator} to replace {entity}.")
    return {
        entity: Operator(operator).value
        for entity, operator in sorted(operators.items())
        if operator != Operator.PSEUDONYM
    }


def _check_list(field: str, values: Iterable[str]) -> list[str]:
    listed = sorted({" ".join(value.split()) for value in values} - {""})
    if len(listed) > MAX_LISTED_VALUES:
        raise PolicyError(field, f"Give at most {MAX_LISTED_VALUES} values; these are {len(listed)}.")
    if any("\0" in value for value in listed):
        raise PolicyError(field, "Take out the characters that cannot be seen.")
    if any(len(value) > MAX_LISTED_VALUE_LENGTH for value in listed):
        raise PolicyError(field, f"Give values of at most {MAX_LISTED_VALUE_LENGTH} characters.")
    return listed


def _check_apart(allowed: list[str], denied: list[str]) -> None:
    both = {normalise(CUSTOM, value) for value in allowed} & {normalise(CUSTOM, value) for value in denied}
    if both:
        raise PolicyError("deny_list", f"{min(both)!r} is on both lists: take it off one of them.")
    if any(len(value) < MIN_DENIED_VALUE_LENGTH for value in denied):
        raise PolicyError("deny_list", f"Give values of at least {MIN_DENIED_VALUE_LENGTH} characters.")


def _check_reason(reason: str | None, enabled: bool) -> str | None:
    reason = (reason or "").strip() or None
    if not enabled and reason is None:
        raise PolicyError("reason", "Say why personal data is not to be replaced.")
    if reason is not None and "\0" in reason:
        raise PolicyError("reason", "Take out the characters that cannot be seen.")
    if reason is not None and len(reason) > MAX_REASON_LENGTH:
        raise PolicyError("reason", f"Give at most {MAX_REASON_LENGTH} characters.")
    return reason
