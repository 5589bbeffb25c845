"""What an API key may be limited to: models by their names, and endpoints."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.catalogue import list_base_models
from core.models.api_keys import ApiKeyModel
from core.models.models import Model
from core.tenancy import Endpoint, Reach


class NoSuchModel(Exception):
    """The tenant has no model of that name, and no base model has it; the message says so."""


def reachable(session: Session) -> Mapping[str, UUID | str]:
    """The ids of the tenant's own models and of the base models, by name: what a key can be limited to."""
    own = session.execute(select(Model.name, Model.id).where(Model.deleted_at.is_(None)).order_by(Model.name))
    return {**dict(own.all()), **{base.id: base.id for base in list_base_models()}}


def reach_to(session: Session, models: Collection[str], endpoints: Collection[str]) -> Reach:
    """The limits to models of these names and to these endpoints; none of either is no limit. Raises NoSuchModel."""
    ids = reachable(session) if models else {}
    missing = [name for name in models if name not in ids]
    if missing:
        raise NoSuchModel(f"There is no model {missing[0]!r}.")
    return Reach(
        models=frozenset(ids[name] for name in models) if models else None,
        endpoints=frozenset(map(Endpoint, endpoints)) if endpoints else None,
    )


def reached_models(session: Session) -> Mapping[UUID, list[str]]:
    """The names of the models that limited keys reach, by key; those that were deleted are left out."""
    names = session.execute(
        select(ApiKeyModel.api_key_id, func.coalesce(Model.name, ApiKeyModel.base_model))
        .outerjoin(Model, Model.id == ApiKeyModel.model_id)
        .where(Model.deleted_at.is_(None))
        .order_by(ApiKeyModel.base_model.nulls_first(), Model.name)
    )
    reached: dict[UUID, list[str]] = {}
    for key_id, name in names:
        reached.setdefault(key_id, []).append(name)
    return reached
