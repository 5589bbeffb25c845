"""A prediction from start to finish: the API's and the playground's one way to the pool and into the
ledger."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import ledger
from billing.ledger import Usage
from billing.plans import DEFAULT_PLAN_CODE, list_holdings
from billing.schedule import plan_at
from core.clock import now
from core.db import tenant_session
from core.models.models import Adapter, Model
from core.models.usage import UsageKind, UsageSource
from core.privacy.policies import current_policy
from core.privacy.types import Policy
from core.storage import TenantKey, blob_store, tenant_key
from core.tenancy import Permission, TenantScope
from inference.gateway import protect
from inference.gateway.pool_client import PoolAnswer, PoolRequest, pool_client
from inference.gateway.prediction import (
    ModelNotFound,
    ModelNotReady,
    Prediction,
    Result,
    Score,
    check_texts,
)
from inference.gateway.protect import Protected
from inference.gateway.request_id import new_request_id

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a request needs to know of its tenant and model, read in one short transaction."""

    model: Model
    adapter: Adapter
    policy: Policy
    key: TenantKey
    tier: str


def classify(
    scope: TenantScope,
    model_name: str,
    texts: Sequence[str],
    *,
    source: UsageSource,
    api_key_id: UUID | None = None,
    request_id: str | None = None,
    truncate: bool = False,
) -> Prediction:
    """Classify `texts` with the current adapter of the tenant's model `model_name`.

    Personal data is replaced first, as the tenant's policy says. Returns once the request's one usage fact
    is committed; `request_id` must be unique, and is made up where none is given. Texts longer than the
    model reads are an error unless `truncate`.

    Raises PermissionDenied, or a PredictionError, and then nothing is billed.
    """
    started = time.perf_counter()
    scope.require(Permission.PREDICT)
    check_texts(texts)
    request_id = request_id or new_request_id()
    with tenant_session(scope) as session:
        target = _find_target(session, scope.tenant_id, model_name)
    # No connection is held from here to the ledger: the pool may take its time.
    protected = protect.protect(texts, target.policy, target.key)
    answer = pool_client().classify(
        PoolRequest(
            tenant_id=scope.tenant_id,
            request_id=request_id,
            adapter=target.adapter.digest,
            base=target.adapter.base_model,
            tier=target.tier,
            texts=[text.text for text in protected],
            truncate=truncate,
        ),
        lambda: blob_store().get(target.key, target.adapter.blob),
    )
    usage = Usage(
        request_id=request_id,
        kind=UsageKind.PREDICTION,
        quantity=sum(answer.tokens),
        source=source,
        inputs=len(texts),
        model_id=target.model.id,
        adapter_id=target.adapter.id,
        api_key_id=api_key_id,
    )
    with tenant_session(scope) as session:
        ledger.record(session, scope.tenant_id, usage)
        session.commit()
    seconds = time.perf_counter() - started
    log.info(
        "predicted",
        request_id=request_id,
        tenant_id=str(scope.tenant_id),
        model_id=str(target.model.id),
        source=source,
        inputs=len(texts),
        tokens=usage.quantity,
        ms=round(seconds * 1000, 1),
    )
    return Prediction(
        request_id=request_id,
        model=target.model.name,
        version=target.adapter.version,
        results=_results(answer, protected),
        seconds=seconds,
    )


def _find_target(session: Session, tenant_id: UUID, model_name: str) -> _Target:
    query = (
        select(Model, Adapter)
        .outerjoin(Adapter, Adapter.id == Model.current_adapter_id)
        .where(Model.name == model_name)
    )
    # Postgres takes no NUL in a text, and no name has one.
    row = None if "\0" in model_name else session.execute(query).one_or_none()
    if row is None:
        raise ModelNotFound(
            f"There is no model {model_name!r}. GET /v1/models lists the ones that there are."
        )
    model, adapter = row
    if adapter is None:
        raise ModelNotReady(
            f"The model {model_name!r} has no version that answers yet. Train it, or promote a version."
        )
    return _Target(
        model=model,
        adapter=adapter,
        policy=current_policy(session, tenant_id),
        key=tenant_key(session, tenant_id),
        tier=plan_at(now(), list_holdings(session, tenant_id), DEFAULT_PLAN_CODE),
    )


def _results(answer: PoolAnswer, protected: Sequence[Protected]) -> tuple[Result, ...]:
    return tuple(
        Result(
            scores=tuple(
                Score(label, score) for label, score in sorted(scores.items(), key=lambda item: -item[1])
            ),
            tokens=tokens,
            truncated=truncated,
            replacements=text.replacements,
        )
        for scores, tokens, truncated, text in zip(
            answer.scores, answer.tokens, answer.truncated, protected, strict=True
        )
    )
