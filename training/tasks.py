"""What RQ's workers call for fine-tunes. torch is imported by the process that each call starts and no credentials reach."""

import json
from uuid import UUID

from core.tenancy import system_scope
from training import estimates, runner, scheduler
from training.confined import process
from training.recipe.settings import FineTuneSettings


def run_next_job() -> None:
    """Run the fine-tune whose turn it is, if one waits."""
    if scheduler.has_waiting():
        # Before a job is taken, since it takes seconds in which that one could not be cancelled.
        with process.started() as child:
            runner.run_next(child.fine_tune)


def measure_estimate(tenant_id: str, version_id: str, settings_json: str) -> None:
    """Measure what was asked for by `estimates.request`, if somebody still waits for it."""
    scope = system_scope(UUID(tenant_id), "worker")
    settings = FineTuneSettings.from_json(json.loads(settings_json))
    measuring = estimates.Measuring.start(scope.tenant_id, UUID(version_id), settings)
    if measuring is not None:
        with process.started() as child:
            recipe = child.measure(scope.tenant_id, UUID(version_id))
            measuring.finish(estimates.measure(scope, UUID(version_id), settings, recipe, measuring.beat))
