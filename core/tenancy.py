"""Who asks, for which tenant, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID


class PermissionDenied(Exception):
    """The actor lacks a permission; the message names it."""


class Permission(StrEnum):
    """What an actor may do inside one tenant."""

    DATASETS_READ = "datasets:read"
    DATASETS_WRITE = "datasets:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    PREDICT = "predict"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    USAGE_READ = "usage:read"
    INVOICES_READ = "invoices:read"
    BILLING_WRITE = "billing:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    PRIVACY_READ = "privacy:read"
    PRIVACY_WRITE = "privacy:write"
    AUDIT_READ = "audit:read"
    TENANT_EXPORT = "tenant:export"
    TENANT_DELETE = "tenant:delete"


class StaffPermission(StrEnum):
    """What the operator's staff may do across tenants."""

    TENANTS_READ = "tenants:read"
    TENANTS_WRITE = "tenants:write"
    PLANS_READ = "plans:read"
    PLANS_WRITE = "plans:write"
    QUEUE_READ = "queue:read"
    POOL_READ = "pool:read"
    INVOICES_READ = "invoices:read"
    INVOICES_WRITE = "invoices:write"
    AUDIT_READ = "audit:read"


class Role(StrEnum):
    """A user's role in their tenant."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    FINANCE = "finance"
    VIEWER = "viewer"


class StaffRole(StrEnum):
    """The role of one of the operator's staff."""

    ADMIN = "admin"
    FINANCE = "finance"


_VIEW = frozenset(
    {
        Permission.DATASETS_READ,
        Permission.JOBS_READ,
        Permission.MODELS_READ,
        Permission.MEMBERS_READ,
        Permission.PRIVACY_READ,
    }
)
_BUILD = frozenset(
    {
        Permission.DATASETS_WRITE,
        Permission.JOBS_WRITE,
        Permission.MODELS_WRITE,
        Permission.PREDICT,
        Permission.KEYS_READ,
        Permission.KEYS_WRITE,
        Permission.USAGE_READ,
    }
)
_PAY = frozenset({Permission.USAGE_READ, Permission.INVOICES_READ, Permission.BILLING_WRITE})

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.ADMIN: frozenset(Permission),
        Role.DEVELOPER: _VIEW | _BUILD,
        Role.FINANCE: _VIEW | _PAY,
        Role.VIEWER: _VIEW,
    }
)

STAFF_ROLE_PERMISSIONS: Mapping[StaffRole, frozenset[StaffPermission]] = MappingProxyType(
    {
        StaffRole.ADMIN: frozenset(StaffPermission),
        StaffRole.FINANCE: frozenset(
            {
                StaffPermission.TENANTS_READ,
                StaffPermission.PLANS_READ,
                StaffPermission.INVOICES_READ,
                StaffPermission.INVOICES_WRITE,
            }
        ),
    }
)

KEY_PERMISSIONS = frozenset({Permission.PREDICT, Permission.MODELS_READ})
"""What an API key may do that calls models."""

_MANAGING = frozenset(
    {
        Permission.MODELS_READ,
        Permission.DATASETS_READ,
        Permission.DATASETS_WRITE,
        Permission.JOBS_READ,
        Permission.JOBS_WRITE,
        Permission.MODELS_WRITE,
    }
)

MANAGING_KEY_PERMISSIONS = KEY_PERMISSIONS | _MANAGING
"""What an API key may do that was made to manage files, fine-tunes and models, too."""


def key_permissions(*, may_predict: bool, may_manage: bool) -> frozenset[Permission]:
    """What an API key may do."""
    if may_manage:
        return MANAGING_KEY_PERMISSIONS if may_predict else _MANAGING
    return KEY_PERMISSIONS


class Endpoint(StrEnum):
    """What models can be called by, as an API key may be limited to."""

    CLASSIFY = "classify"
    TAG = "tag"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    ANONYMIZE = "anonymize"


@dataclass(frozen=True, slots=True)
class Reach:
    """What an API key is limited to; None is no limit.

    `models` holds ids: of the tenant's own models, and of base models. All others do not exist for the key.
    """

    models: frozenset[UUID | str] | None = None
    endpoints: frozenset[Endpoint] | None = None

    def covers(self, model: UUID | str) -> bool:
        """Whether the model of that id exists for the key."""
        return self.models is None or model in self.models

    def require(self, endpoint: Endpoint) -> None:
        """Raise PermissionDenied where the key may not call models by `endpoint`."""
        if self.endpoints is not None and endpoint not in self.endpoints:
            allowed = ", ".join(sorted(self.endpoints))
            raise PermissionDenied(
                f"This API key may not be used to {_VERBS[endpoint]}: it is limited to {allowed}."
            )


EVERYTHING = Reach()

_VERBS = {
    Endpoint.CLASSIFY: "classify",
    Endpoint.TAG: "tag",
    Endpoint.CHAT: "chat",
    Endpoint.EMBEDDINGS: "make embeddings",
    Endpoint.ANONYMIZE: "anonymize",
}


class ActorKind(StrEnum):
    USER = "user"
    API_KEY = "api_key"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: `label` is what the audit log shows (an e-mail address, a key's name, a process)."""

    kind: ActorKind
    id: UUID | None
    label: str


@dataclass(frozen=True, slots=True)
class TenantScope:
    """Proof that an actor was admitted to one tenant, with the permissions that they have there.

    `reach` is how far they go for an API key; for everybody else it has no limit.
    """

    tenant_id: UUID
    actor: Actor
    permissions: frozenset[Permission]
    reach: Reach = EVERYTHING

    def allows(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Raise PermissionDenied unless the actor has `permission`."""
        if not self.allows(permission):
            raise PermissionDenied(f"This needs the permission {permission}.")


def system_scope(tenant_id: UUID, label: str) -> TenantScope:
    """The scope of Adaptary's own processes (`label`: worker, clock, …) at work for one tenant."""
    return TenantScope(tenant_id, Actor(ActorKind.SYSTEM, None, label), frozenset(Permission))
