"""Which model a request is for, and what has to be known to run it: read in one short transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, bindparam, case, exists, func, select
from sqlalchemy.orm import aliased

from billing.plans import held_plan_code
from billing.standing import REFUSAL
from core.catalogue import (
    DEFAULT_BASE_MODEL,
    Architecture,
    BaseModel,
    Task,
    UnknownBaseModel,
    get_base_model,
    list_base_models,
)
from core.clock import now
from core.db import tenant_connection
from core.models.budgets import Budget
from core.models.models import Adapter, Model
from core.models.privacy import PrivacyPolicy
from core.models.tenants import Tenant
from core.privacy.entities import DEFAULT_POLICY
from core.privacy.policies import policy_of
from core.privacy.types import Policy
from core.storage import TenantKey, open_tenant_key
from core.tenancy import TenantScope
from inference.gateway.prediction import (
    ModelNotFound,
    ModelNotReady,
    NoDefaultModel,
    PaymentMissing,
    WrongTask,
)

CLASSIFYING = frozenset({Task.CLASSIFICATION, Task.MULTI_LABEL})
TAGGING = frozenset({Task.TAGGING})
CHATTING = frozenset({Task.CHAT})

_WHERE = {
    Task.CLASSIFICATION: "POST /v1/classify",
    Task.MULTI_LABEL: "POST /v1/classify",
    Task.TAGGING: "POST /v1/tag",
    Task.CHAT: "POST /v1/chat/completions",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A model, the adapter that answers for it, and the tenant's policy, key and plan. `is_capped` says that the tenant
    has budgets which the request may not pass.

    `digest` and `blob` are the adapter's. Of a base model that answers itself they are empty, its version is 0, and
    there are no ids.
    """

    name: str
    base: str
    policy: Policy
    key: TenantKey
    tier: str
    is_capped: bool
    task: Task | None = None
    model_id: UUID | None = None
    adapter_id: UUID | None = None
    digest: str = ""
    blob: str = ""
    version: int = 0


def find_target(connection: Connection, scope: TenantScope, name: str, tasks: Collection[Task]) -> Target:
    """The tenant's model `name`. Raises ModelNotFound, ModelNotReady, and WrongTask unless it is for one of
    `tasks`."""
    # Postgres takes no NUL in a text, and no name has one.
    parameters = _now(scope, name=name)
    row = None if "\0" in name else connection.execute(_BY_NAME, parameters).one_or_none()
    if row is None or not scope.reach.covers(row.model_id):
        raise _no_such_model(name)
    return _ready(scope, row, tasks)


def find_base_target(
    connection: Connection, scope: TenantScope, name: str, architecture: Architecture
) -> Target:
    """The base model `name`, to answer itself. Raises ModelNotFound, and WrongTask for one of another kind."""
    try:
        base = get_base_model(name)
    except UnknownBaseModel:
        raise _no_such_model(name) from None
    if not scope.reach.covers(base.id):
        raise _no_such_model(name)
    if base.architecture is not architecture:
        fit = [one.id for one in list_base_models() if one.architecture is architecture]
        raise WrongTask(f"The base model {name!r} cannot do this. Use {' or '.join(fit)}.")
    return _of_base(connection, scope, base)


def find_default_target(connection: Connection, scope: TenantScope, model_id: UUID | None) -> Target:
    """The chat model of a key's settings; without one, the only chat model that is ready and that the key reaches.

    Raises NoDefaultModel, ModelNotReady and WrongTask.
    """
    if model_id is not None:
        row = connection.execute(_BY_ID, _now(scope, model_id=model_id)).one_or_none()
        if row is None or not scope.reach.covers(model_id):
            raise NoDefaultModel("This API key's default model was deleted. Make a key with another one.")
        return _ready(scope, row, CHATTING)
    if scope.reach.models is None:
        rows = connection.execute(_READY_CHAT_MODELS, _now(scope)).all()
    else:
        own = [one for one in scope.reach.models if isinstance(one, UUID)]
        rows = connection.execute(_READY_CHAT_MODELS_OF, _now(scope, model_ids=own)).all()
    if len(rows) != 1:
        found = "no chat model that is ready" if not rows else "more than one chat model"
        raise NoDefaultModel(
            f"This API key has no default model, and there is {found}. Make a key with a default model on the "
            "portal's page 'API keys', or name the model: POST /v1/chat/completions."
        )
    return _ready(scope, rows[0], CHATTING)


def find_policy_target(connection: Connection, scope: TenantScope) -> Target:
    """No model of the tenant's: its own policy, key and plan, where none is asked."""
    return _of_base(connection, scope, get_base_model(DEFAULT_BASE_MODEL))


def get_task(scope: TenantScope, name: str) -> Task:
    """What the tenant's model of that name, or the base model of that id, is for. Raises ModelNotFound."""
    if is_base(name) and get_base_model(name).architecture is Architecture.DECODER:
        if scope.reach.covers(name):
            return Task.CHAT
    elif "\0" not in name:
        with tenant_connection(scope) as connection:
            row = connection.execute(
                select(Model.id, Model.task).where(Model.name == name, Model.deleted_at.is_(None))
            ).one_or_none()
        if row is not None and scope.reach.covers(row.id):
            task: Task = row.task
            return task
    raise _no_such_model(name)


def is_base(name: str) -> bool:
    """Whether a base model has this id."""
    return any(base.id == name for base in list_base_models())


def _now(scope: TenantScope, **values: object) -> dict[str, object]:
    """The parameters of the statements below."""
    return {"tenant_id": scope.tenant_id, "at": now(), **values}


def _of_base(connection: Connection, scope: TenantScope, base: BaseModel) -> Target:
    tenant = connection.execute(_TENANT, _now(scope)).one()
    return Target(name=base.id, base=base.id, **_of_tenant(scope.tenant_id, tenant))


def _ready(scope: TenantScope, row: Row[*tuple[Any, ...]], tasks: Collection[Task]) -> Target:
    if row.task not in tasks:
        raise WrongTask(f"The model {row.name!r} is for {row.task}: ask it by {_WHERE[row.task]}.")
    if row.adapter_id is None:
        raise ModelNotReady(
            f"The model {row.name!r} has no version that answers yet. Train it, or promote a version."
        )
    return Target(
        name=row.name,
        base=row.base_model,
        task=row.task,
        model_id=row.model_id,
        adapter_id=row.adapter_id,
        digest=row.digest,
        blob=row.blob,
        version=row.adapter_version,
        **_of_tenant(scope.tenant_id, row),
    )


def _of_tenant(tenant_id: UUID, row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    if row.payment_suspended_at is not None:
        raise PaymentMissing(REFUSAL)
    key = open_tenant_key(tenant_id, row.wrapped_data_key)
    return {
        "is_capped": row.is_capped,
        "policy": DEFAULT_POLICY if row.version is None else policy_of(row, key),
        "key": key,
        "tier": row.plan_code,
    }


def _no_such_model(name: str) -> ModelNotFound:
    return ModelNotFound(f"There is no model {name!r}. GET /v1/models lists the ones that there are.")


# Made once: to build such a statement anew takes longer than to run it.
_TENANT_ID: BindParameter[UUID] = bindparam("tenant_id", type_=Tenant.id.type)
_LATER_POLICY = aliased(PrivacyPolicy)
_LATEST_POLICY = (
    select(_LATER_POLICY.version)
    .where(_LATER_POLICY.tenant_id == _TENANT_ID, _LATER_POLICY.model_id.is_(None))
    .order_by(_LATER_POLICY.version.desc())
    .limit(1)
    .scalar_subquery()
)
_LATEST_OF_MODEL = (
    select(case((_LATER_POLICY.withdrawn, None), else_=_LATER_POLICY.version))
    .where(_LATER_POLICY.tenant_id == _TENANT_ID, _LATER_POLICY.model_id == Model.id)
    .order_by(_LATER_POLICY.version.desc())
    .limit(1)
    .correlate(Model)
    .scalar_subquery()
)
_COLUMNS = (
    PrivacyPolicy.version,
    PrivacyPolicy.entities,
    PrivacyPolicy.operators,
    PrivacyPolicy.sealed_lists,
    PrivacyPolicy.enabled,
    Tenant.wrapped_data_key,
    Tenant.payment_suspended_at,
    exists().where(Budget.tenant_id == _TENANT_ID, Budget.is_cap).label("is_capped"),
    held_plan_code(_TENANT_ID, bindparam("at")).label("plan_code"),
)


def _policy_is(version: ColumnElement[Any]) -> ColumnElement[bool]:
    return (PrivacyPolicy.tenant_id == Tenant.id) & (PrivacyPolicy.version == version)


_TENANT = (
    select(*_COLUMNS)
    .select_from(Tenant)
    .outerjoin(PrivacyPolicy, _policy_is(_LATEST_POLICY))
    .where(Tenant.id == _TENANT_ID)
)
_MODELS = (
    select(
        *_COLUMNS,
        Model.id.label("model_id"),
        Model.name,
        Model.task,
        Adapter.id.label("adapter_id"),
        Adapter.base_model,
        Adapter.digest,
        Adapter.blob,
        Adapter.version.label("adapter_version"),
    )
    .select_from(Tenant)
    .join(Model, Model.tenant_id == Tenant.id)
    .outerjoin(Adapter, Adapter.id == Model.current_adapter_id)
    .outerjoin(PrivacyPolicy, _policy_is(func.coalesce(_LATEST_OF_MODEL, _LATEST_POLICY)))
    .where(Tenant.id == _TENANT_ID, Model.deleted_at.is_(None))
)
_BY_NAME = _MODELS.where(Model.name == bindparam("name"))
_BY_ID = _MODELS.where(Model.id == bindparam("model_id"))
_READY_CHAT_MODELS = _MODELS.where(Model.task == Task.CHAT, Model.current_adapter_id.is_not(None)).limit(2)
_READY_CHAT_MODELS_OF = _READY_CHAT_MODELS.where(Model.id.in_(bindparam("model_ids", expanding=True)))
