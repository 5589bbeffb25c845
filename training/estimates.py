"""How long a fine-tune will take and how many tokens it will read, measured before it is launched.

The web has no torch: a worker of the datasets queue measures, and what it found waits in Redis for whoever asked.
Nothing is lost with it, as it can be measured again.
"""

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from core.catalogue import default_base_model
from core.db import tenant_session
from core.models.datasets import DatasetVersion
from core.queues import Queue, enqueue, redis
from core.tenancy import Permission, TenantScope
from training.inputs import check_method, check_version, load
from training.recipe.errors import RecipeError
from training.recipe.result import Measurement
from training.recipe.settings import FineTuneSettings, SettingsError

log = structlog.get_logger(__name__)

MEASURE = "training.tasks.measure_estimate"

MOST_WAITING = 3
"""As many of a tenant's estimates may wait or be measured; the queue is shared, and each takes a worker seconds."""

_KEPT_SECONDS = 3600
_ERROR_KEPT_SECONDS = 60
_WAIT_SECONDS = 600
_SILENCE_SECONDS = 60
_BEAT_SECONDS = 1.0
_TIMEOUT_SECONDS = 600

_OUR_FAULT = "The estimate could not be made. You can launch the fine-tune all the same."

# What stands in a key before the estimate does.
_REQUESTED = b"requested"
_MEASURING = b"measuring"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a fine-tune will take: seconds on a worker, and tokens read. With `error`, why it cannot be told.

    privacy: what differential privacy will guarantee and take, as the recipe's Measurement has it.
    """

    seconds: float
    training_tokens: int
    error: str | None = None
    privacy: dict[str, Any] | None = None


def request(
    session: Session, scope: TenantScope, version: DatasetVersion, settings: FineTuneSettings
) -> None:
    """Have the fine-tune of `version` with `settings` estimated, unless it is or is being done.

    Nothing happens while MOST_WAITING of the tenant's wait: whoever waits for this one asks again.
    Raises PermissionDenied, and JobError where nothing can be trained on that version so.
    """
    scope.require(Permission.JOBS_WRITE)
    check_method(check_version(session, version), settings)
    key, waiting = _key(scope.tenant_id, version.id, settings), _waiting_key(scope.tenant_id)
    redis().zremrangebyscore(waiting, 0, time.time() - _WAIT_SECONDS)
    # Requests at the same moment may pass together: a few more do no harm.
    if redis().zcard(waiting) >= MOST_WAITING or not redis().set(key, _REQUESTED, nx=True, ex=_WAIT_SECONDS):
        return
    redis().zadd(waiting, {key: time.time()})
    enqueue(
        Queue.DATASETS,
        MEASURE,
        str(scope.tenant_id),
        str(version.id),
        json.dumps(settings.to_json()),
        timeout=_TIMEOUT_SECONDS,
    )


def find(scope: TenantScope, version: DatasetVersion, settings: FineTuneSettings) -> Estimate | None:
    """The estimate; None where it was not asked for within the hour, or is not there yet."""
    found: Any = redis().get(_key(scope.tenant_id, version.id, settings))
    if found in (None, _REQUESTED, _MEASURING):
        return None
    return Estimate(**json.loads(found))


class Measuring:
    """A worker's hold on one estimate while it is measured."""

    def __init__(self, key: str, waiting_key: str) -> None:
        self._key = key
        self._waiting_key = waiting_key
        self._beaten = time.monotonic()

    @classmethod
    def start(cls, tenant_id: UUID, version_id: UUID, settings: FineTuneSettings) -> "Measuring | None":
        """Begin to measure; None where nobody waits for it any more, or another worker is at it."""
        key = _key(tenant_id, version_id, settings)
        if redis().get(key) != _REQUESTED:
            return None
        redis().set(key, _MEASURING, ex=_SILENCE_SECONDS)
        return cls(key, _waiting_key(tenant_id))

    def beat(self) -> None:
        """Show that it is still being measured: without, another request starts it again after a minute."""
        if time.monotonic() - self._beaten >= _BEAT_SECONDS:
            redis().expire(self._key, _SILENCE_SECONDS)
            self._beaten = time.monotonic()

    def finish(self, estimate: Estimate) -> None:
        """Leave what was found for whoever asked; an error only briefly, as the next try may go better."""
        seconds = _ERROR_KEPT_SECONDS if estimate.error else _KEPT_SECONDS
        redis().set(self._key, json.dumps(asdict(estimate)), ex=seconds)
        redis().zrem(self._waiting_key, self._key)


def measure(
    scope: TenantScope,
    version_id: UUID,
    settings: FineTuneSettings,
    recipe: Callable[..., Measurement],
    beat: Callable[[], None],
) -> Estimate:
    """Measure with `recipe`, which is training.recipe.by_task.measure. What goes wrong is in the estimate's `error`."""
    try:
        with tenant_session(scope) as session:
            version = session.get_one(DatasetVersion, version_id)
        data = load(scope, version, beat)
        measured = recipe(data, settings, default_base_model(data.task), beat)
    except (RecipeError, SettingsError) as error:
        return Estimate(0.0, 0, str(error))
    except Exception as error:
        # The trace alone: an exception's own words may quote what it choked on.
        trace = "".join(traceback.format_tb(error.__traceback__))
        log.error("estimate_failed", version_id=str(version_id), error=type(error).__name__, trace=trace)
        return Estimate(0.0, 0, _OUR_FAULT)
    return Estimate(measured.seconds, measured.training_tokens, privacy=measured.privacy)


def _waiting_key(tenant_id: UUID) -> str:
    return f"estimates-waiting:{tenant_id}"


def _key(tenant_id: UUID, version_id: UUID, settings: FineTuneSettings) -> str:
    digest = sha256(json.dumps(settings.to_json(), sort_keys=True).encode()).hexdigest()
    return f"estimate:{tenant_id}:{version_id}:{digest}"
