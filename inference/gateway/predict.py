"""What encoders answer, from start to finish: the API's and the playground's one way to the pool and into the
ledger."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from core.catalogue import Architecture, Task
from core.db import tenant_connection
from core.models.usage import UsageKind
from core.storage import blob_store
from core.tenancy import Endpoint, Permission, TenantScope
from inference.gateway import protect
from inference.gateway.bounds import texts_bound
from inference.gateway.metering import Asker
from inference.gateway.pool_client import PoolAnswer, PoolRequest, pool_client
from inference.gateway.prediction import (
    CHOSEN_FROM,
    Answers,
    Embedded,
    Embeddings,
    Entity,
    Prediction,
    Read,
    Result,
    Score,
    Tagged,
    Tagging,
    check_texts,
)
from inference.gateway.protect import Protected
from inference.gateway.targets import CLASSIFYING, TAGGING, Target, find_base_target, find_target
from inference.gateway.waiting_client import find_waiting_client

log = structlog.get_logger(__name__)

Of = TypeVar("Of", bound=Read)
Finish = Callable[[Session, Answers[Any]], None]
"""Is called with the answers in the transaction that records the request, just before it is committed."""


Fill = Callable[[Any, int, bool, Protected], Of]
"""Makes one text's answer of what the pool said, the tokens read, whether it was cut, and the text."""


def classify(
    asker: Asker,
    model_name: str,
    texts: Sequence[str],
    *,
    truncate: bool = False,
    finish: Finish | None = None,
) -> Prediction:
    """Label `texts` with the current adapter of the tenant's model `model_name`.

    Personal data is replaced first, as the tenant's policy says. Returns once the request's one usage fact is
    committed. Texts longer than the model reads are an error unless `truncate`.

    Raises PermissionDenied, or a PredictionError, and then nothing is billed.
    """
    run = _Run(asker, Endpoint.CLASSIFY, texts, truncate, finish)
    target = run.find(lambda connection, scope: find_target(connection, scope, model_name, CLASSIFYING))
    several = target.task is Task.MULTI_LABEL

    def fill(scores: dict[str, float], tokens: int, truncated: bool, text: Protected) -> Result:
        ordered = tuple(
            Score(label, score) for label, score in sorted(scores.items(), key=lambda one: -one[1])
        )
        chosen = tuple(one.label for one in ordered if one.score >= CHOSEN_FROM) if several else None
        return Result(
            tokens,
            truncated,
            text.text,
            text.replacements,
            ordered,
            (ordered[0].label,) if chosen is None else chosen,
        )

    return run.answer(target, pool_client().classify, fill)


def tag(
    asker: Asker,
    model_name: str,
    texts: Sequence[str],
    *,
    truncate: bool = False,
    finish: Finish | None = None,
) -> Tagging:
    """Find the entities in `texts`, with offsets in the texts as they came. Everything else is as in `classify`."""
    run = _Run(asker, Endpoint.TAG, texts, truncate, finish)
    target = run.find(lambda connection, scope: find_target(connection, scope, model_name, TAGGING))

    def fill(entities: list[dict[str, Any]], tokens: int, truncated: bool, text: Protected) -> Tagged:
        return Tagged(
            tokens, truncated, text.text, text.replacements, tuple(_entity(one, text) for one in entities)
        )

    return run.answer(target, pool_client().tag, fill)


def embed(
    asker: Asker,
    base_model: str,
    texts: Sequence[str],
    *,
    truncate: bool = False,
    finish: Finish | None = None,
) -> Embeddings:
    """Vectors of `texts` from an encoder of the catalogue itself. Everything else is as in `classify`."""
    run = _Run(asker, Endpoint.EMBEDDINGS, texts, truncate, finish)
    target = run.find(
        lambda connection, scope: find_base_target(connection, scope, base_model, Architecture.ENCODER)
    )

    def fill(vector: list[float], tokens: int, truncated: bool, text: Protected) -> Embedded:
        return Embedded(tokens, truncated, text.text, text.replacements, vector)

    return run.answer(target, pool_client().embed, fill)


class _Run:
    """One request on its way: what all of these calls do alike."""

    def __init__(
        self, asker: Asker, endpoint: Endpoint, texts: Sequence[str], truncate: bool, finish: Finish | None
    ) -> None:
        asker.scope.require(Permission.PREDICT)
        asker.scope.reach.require(endpoint)
        check_texts(texts)
        self._started = time.perf_counter()
        self._asker = asker
        self._texts = texts
        self._truncate = truncate
        self._finish = finish

    def find(self, find: Callable[[Connection, TenantScope], Target]) -> Target:
        # No connection is held from here to the ledger: the pool may take its time.
        with tenant_connection(self._asker.scope) as connection:
            return find(connection, self._asker.scope)

    def answer(self, target: Target, ask: Callable[..., PoolAnswer], fill: Fill[Of]) -> Answers[Of]:
        """Ask the pool, put the usage into the ledger, and return what the pool said."""
        asker = self._asker
        protected = protect.protect(self._texts, target.policy, target.key)
        texts = [text.text for text in protected]
        with asker.reserve(target, texts_bound(texts, target.base)):
            return self._answer(
                target, protected, ask(pool_request(asker, target), texts, truncate=self._truncate), fill
            )

    def _answer(
        self, target: Target, protected: Sequence[Protected], said: PoolAnswer, fill: Fill[Of]
    ) -> Answers[Of]:
        asker = self._asker
        answers = Answers(
            request_id=asker.request_id,
            model=target.name,
            task=target.task,
            version=target.version,
            policy_version=target.policy.version,
            results=tuple(map(fill, said.results, said.tokens, said.truncated, protected)),
            seconds=time.perf_counter() - self._started,
        )
        usage = asker.usage(target, UsageKind.PREDICTION, answers.tokens, len(self._texts))
        finish = self._finish
        asker.record(usage, also=None if finish is None else lambda session: finish(session, answers))
        log.info(
            "predicted",
            request_id=asker.request_id,
            tenant_id=str(asker.scope.tenant_id),
            model_id=str(target.model_id) if target.model_id else target.base,
            source=asker.source,
            inputs=len(self._texts),
            tokens=answers.tokens,
            ms=round((time.perf_counter() - self._started) * 1000, 1),
        )
        return answers


def pool_request(asker: Asker, target: Target) -> PoolRequest:
    """What the pool is told of who asks, and for which adapter."""
    return PoolRequest(
        tenant_id=asker.scope.tenant_id,
        request_id=asker.request_id,
        adapter=target.digest,
        base=target.base,
        tier=target.tier,
        load_adapter=lambda: blob_store().get(target.key, target.blob),
        client=find_waiting_client(),
    )


def _entity(entity: dict[str, Any], text: Protected) -> Entity:
    start, end = text.original_span(entity["start"], entity["end"])
    return Entity(start, end, entity["label"], entity["score"], text.original[start:end])
