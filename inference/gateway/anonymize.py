"""Replacing personal data as a product of its own: no model reads the texts."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from core.catalogue import Task
from core.db import tenant_connection
from core.models.usage import UsageKind
from core.tenancy import Endpoint, Permission, TenantScope
from inference.gateway.metering import Asker
from inference.gateway.prediction import Replacement, check_texts
from inference.gateway.protect import protect_together
from inference.gateway.targets import Target, find_policy_target, find_target
from inference.gateway.token_counts import count_tokens

log = structlog.get_logger(__name__)

_ANY_TASK = frozenset(Task)


@dataclass(frozen=True, slots=True)
class AnonymizedText:
    """A text without its personal data, what stands in it for what, and its tokens as it came."""

    text: str
    entities: tuple[Replacement, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Anonymized:
    """A request's texts, in its order; `mapping` has the values behind pseudonyms and surrogates."""

    request_id: str
    policy_version: int
    texts: tuple[AnonymizedText, ...]
    mapping: Mapping[str, str]

    @property
    def tokens(self) -> int:
        """What is billed."""
        return sum(text.tokens for text in self.texts)


def anonymize(
    asker: Asker,
    model: str | None,
    texts: Sequence[str],
    *,
    finish: Callable[[Session, Anonymized], None] | None = None,
) -> Anonymized:
    """Replace personal data in `texts`, which belong together, as the policy of the tenant or of its `model` says.

    Billed as a prediction of the tokens that the default encoder would read. Returns once the usage fact is committed.
    Raises PermissionDenied, or a PredictionError, and then nothing is billed.
    """
    asker.scope.require(Permission.PREDICT)
    asker.scope.reach.require(Endpoint.ANONYMIZE)
    check_texts(texts)
    started = time.perf_counter()
    # No connection is held from here to the ledger: to find names takes its time.
    with tenant_connection(asker.scope) as connection:
        target = _find(connection, asker.scope, model)
    tokens = count_tokens(texts)
    with asker.reserve(target, {UsageKind.PREDICTION: sum(tokens)}):
        protected = protect_together(texts, target.policy, target.key)
        anonymized = Anonymized(
            request_id=asker.request_id,
            policy_version=target.policy.version,
            texts=tuple(map(AnonymizedText, protected.contents, protected.replacements, tokens)),
            mapping=protected.values,
        )
        usage = asker.usage(target, UsageKind.PREDICTION, anonymized.tokens, len(texts))
        asker.record(usage, also=None if finish is None else lambda session: finish(session, anonymized))
    log.info(
        "anonymized",
        request_id=asker.request_id,
        tenant_id=str(asker.scope.tenant_id),
        source=asker.source,
        inputs=len(texts),
        tokens=anonymized.tokens,
        ms=round((time.perf_counter() - started) * 1000, 1),
    )
    return anonymized


def _find(connection: Connection, scope: TenantScope, model: str | None) -> Target:
    """Whose policy it is; no model answers, so that none is in the ledger."""
    if model is None:
        return find_policy_target(connection, scope)
    return replace(find_target(connection, scope, model, _ANY_TASK), model_id=None, adapter_id=None)
