"""How jobs end: what a success makes, once; what failures say; and who is promoted."""

import dataclasses
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from core.db import tenant_session
from core.models.fine_tune_jobs import JobStatus
from core.models.models import Adapter
from core.models.usage import UsageKind, UsageSource
from core.storage import blob_store, tenant_key
from core.tenancy import ROLE_PERMISSIONS, PermissionDenied, Role
from tests.training.jobs.conftest import ROWS, let_lease_run_out, reconcile
from tests.training.jobs.recipes import TOKENS, Killed, Recipe, Result, at, fail_with
from training import endings, runner
from training.lineage import code_version
from training.promotion import NotPromotable, promote
from training.recipe.errors import RecipeError
from training.recipe.settings import FineTuneSettings

NOT_BETTER = {"promotion": {"promotable": False, "reason": "It is no better than its probe."}}


def not_promotable() -> Result:
    return Result(promotable=False, evaluation=NOT_BETTER)


def test_a_success_makes_one_adapter_one_usage_fact_and_ends_the_job(workshop):
    job_id = workshop.launch("support", seed=7)
    workshop.run(Recipe())
    job = workshop.job(job_id)
    assert (job.status, job.progress, job.training_tokens) == (JobStatus.SUCCEEDED, 1.0, TOKENS)
    assert (job.lease_token, job.lease_expires_at, job.phase_message, job.error) == (None,) * 4
    assert job.finished_at >= job.started_at

    [adapter] = workshop.adapters()
    assert (adapter.version, adapter.job_id, adapter.model_id) == (1, job_id, job.model_id)
    assert (adapter.labels, adapter.rank, adapter.size_bytes) == (["a", "b"], 8, len(b"weights"))
    assert adapter.base_digest == get_base_model(DEFAULT_BASE_MODEL).sha256
    assert adapter.evaluation == job.evaluation
    with tenant_session(workshop.scope) as session:
        key = tenant_key(session, workshop.scope.tenant_id)
    assert blob_store().get(key, adapter.blob, adapter.digest) == b"weights"
    assert workshop.blobs() == [adapter.blob]

    [fact] = workshop.facts()
    assert (fact.kind, fact.source, fact.quantity) == (UsageKind.TRAINING, UsageSource.JOB, TOKENS)
    assert (fact.request_id, fact.job_id, fact.adapter_id) == (str(job_id), job_id, adapter.id)
    assert fact.inputs == sum(row["split"] == "train" for row in ROWS)
    assert workshop.actions()[-2:] == ["fine_tune.succeeded", "model.promoted"]


def test_an_adapters_lineage_says_what_it_was_made_from(workshop):
    settings = FineTuneSettings(epochs=2)
    workshop.launch(settings=settings, seed=7)
    workshop.run(Recipe())
    [adapter] = workshop.adapters()
    lineage = adapter.lineage
    assert lineage["dataset"] == {
        "id": str(workshop.version.dataset_id),
        "name": "Messages",
        "version_id": str(workshop.version.id),
        "number": 1,
        "digest": workshop.version.digest,
    }
    assert lineage["base"] == {"id": DEFAULT_BASE_MODEL, "digest": get_base_model(DEFAULT_BASE_MODEL).sha256}
    assert (lineage["seed"], lineage["attempt"]) == (7, 1)
    assert FineTuneSettings.from_json(lineage["settings"]) == settings
    assert set(lineage["packages"]) == {"torch", "transformers", "peft"}
    assert lineage["code"] == code_version()


def test_the_recipe_reads_what_was_stored_with_personal_data_reduced_to_its_kind(workshop):
    workshop.launch(settings=FineTuneSettings(rank=4), seed=7)
    recipe = Recipe()
    workshop.run(recipe)
    [call] = recipe.calls
    data = call["data"]
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 2, 2)
    assert data.labels == ("a", "b")
    assert dataclasses.astuple(data.train[0]) == ("[PERSON] asks number 1", "b", 1)
    assert (call["seed"], call["settings"].rank, call["checkpoint"]) == (7, 4, None)


def test_the_first_adapter_that_may_be_is_promoted_and_later_ones_are_left_to_people(workshop):
    for result in (not_promotable(), Result(), Result()):
        workshop.launch()
        workshop.run(Recipe(result=result))
    adapters = workshop.adapters()
    assert [adapter.version for adapter in adapters] == [1, 2, 3]
    assert workshop.model().current_adapter_id == adapters[1].id
    assert workshop.actions().count("model.promoted") == 1


def test_a_person_promotes_what_may_be_and_nothing_else(workshop):
    for result in (Result(), Result(), not_promotable()):
        workshop.launch()
        workshop.run(Recipe(result=result))
    _, second, third = workshop.adapters()
    with tenant_session(workshop.scope) as session:
        promote(session, workshop.scope, session.get_one(Adapter, second.id))
        with pytest.raises(NotPromotable, match="no better than its probe"):
            promote(session, workshop.scope, session.get_one(Adapter, third.id))
        viewer = replace(workshop.scope, permissions=ROLE_PERMISSIONS[Role.VIEWER])
        with pytest.raises(PermissionDenied):
            promote(session, viewer, session.get_one(Adapter, second.id))
        session.commit()
    assert workshop.model().current_adapter_id == second.id


def test_models_count_their_versions_each_for_itself(workshop):
    for name in ("support", "sales", "support"):
        workshop.launch(name)
        workshop.run(Recipe())
    assert [adapter.version for adapter in workshop.adapters()] == [1, 1, 2]


def test_a_job_that_two_workers_finish_makes_one_adapter_and_one_fact(workshop):
    job_id = workshop.launch()

    def be_overtaken():
        let_lease_run_out(job_id)
        reconcile()
        workshop.run(Recipe())

    class Slow(Recipe):
        def __call__(self, *arguments, **options):
            result = super().__call__(*arguments, **options)
            be_overtaken()
            return replace(result, adapter_file=b"late", training_tokens=1)

    workshop.run(Slow())
    [adapter] = workshop.adapters()
    [fact] = workshop.facts()
    assert (adapter.lineage["attempt"], fact.quantity) == (2, TOKENS)
    assert workshop.blobs() == [adapter.blob]
    assert workshop.actions().count("fine_tune.succeeded") == 1


def test_a_success_that_cannot_be_written_whole_is_not_written_at_all(workshop, monkeypatch):
    job_id = workshop.launch()
    monkeypatch.setattr(endings, "promote", fail_with_anything)
    workshop.run(Recipe())
    assert workshop.job(job_id).status is JobStatus.FAILED
    assert workshop.adapters() == workshop.facts() == workshop.blobs() == []


def fail_with_anything(*_arguments):
    raise RuntimeError("SECRET")


def test_what_the_recipe_refuses_is_said_in_its_own_words(workshop):
    job_id = workshop.launch()
    workshop.run(Recipe(at_step=at(2, fail_with(RecipeError("Label “b” has one row. Add more.")))))
    job = workshop.job(job_id)
    assert (job.status, job.error) == (JobStatus.FAILED, "Label “b” has one row. Add more.")
    assert workshop.lines(job_id)[-1] == job.error
    assert (job.checkpoint_blob, workshop.blobs(), workshop.facts()) == (None, [], [])
    assert workshop.actions()[-1] == "fine_tune.failed"


def test_a_fault_of_ours_is_not_shown_and_its_words_are_not_logged(workshop, logged):
    job_id = workshop.launch()
    workshop.run(Recipe(at_step=at(2, fail_with(ValueError("SECRET text of a tenant")))))
    job = workshop.job(job_id)
    assert job.status is JobStatus.FAILED
    assert str(job.error).startswith("Something went wrong on our side")
    assert "ValueError" in logged.getvalue()
    assert "SECRET" not in repr((job.error, workshop.lines(job_id))) + logged.getvalue()


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError("disk full"), OperationalError("", {}, Exception())],
    ids=["memory", "storage", "database"],
)
def test_where_memory_storage_or_database_fail_the_next_attempt_goes_on(workshop, error):
    job_id = workshop.launch()
    workshop.run(Recipe(at_step=at(2, fail_with(error))))
    assert workshop.job(job_id).status is JobStatus.TRAINING
    let_lease_run_out(job_id)
    reconcile()
    recipe = Recipe()
    workshop.run(recipe)
    assert recipe.calls[0]["checkpoint"] == b"1"
    assert workshop.job(job_id).status is JobStatus.SUCCEEDED


def test_a_killed_job_goes_on_from_its_last_checkpoint(workshop):
    job_id = workshop.launch()
    with pytest.raises(Killed):
        workshop.run(Recipe(at_step=at(3, fail_with(Killed()))))
    let_lease_run_out(job_id)
    reconcile()
    assert workshop.job(job_id).status is JobStatus.QUEUED
    recipe = Recipe()
    workshop.run(recipe)
    assert recipe.calls[0]["checkpoint"] == b"2"
    assert workshop.lines(job_id) == [
        "Queued.",
        "Started.",
        "Reading the dataset",
        "Training",
        "Its worker was cut off; another goes on from its last checkpoint.",
        "Attempt 2: goes on from its last checkpoint.",
        "Reading the dataset",
        "Training",
        "Evaluating",
        "Finished: this is version 1 of support.",
        "support answers calls with it from now on.",
    ]
    losses = [("train_loss", step) for step in (1, 2, 3)]
    assert sorted(workshop.metrics(job_id)) == [*losses, ("validation_accuracy", 3)]
    assert [adapter.lineage["attempt"] for adapter in workshop.adapters()] == [2]
    assert len(workshop.facts()) == 1


def test_a_checkpoint_that_cannot_be_read_is_done_without(workshop):
    job_id = workshop.launch()
    with pytest.raises(Killed):
        workshop.run(Recipe(at_step=at(2, fail_with(Killed()))))
    with tenant_session(workshop.scope) as session:
        key = tenant_key(session, workshop.scope.tenant_id)
    blob_store().delete(key, str(workshop.job(job_id).checkpoint_blob))
    let_lease_run_out(job_id)
    reconcile()
    recipe = Recipe()
    workshop.run(recipe)
    assert recipe.calls[0]["checkpoint"] is None
    assert workshop.job(job_id).status is JobStatus.SUCCEEDED


def test_a_worker_that_is_to_end_hands_its_job_over_at_once(workshop):
    job_id = workshop.launch()
    told: list[bool] = []
    runner.run(workshop.claim(), Recipe(at_step=at(2, lambda: told.append(True))), lambda: bool(told))
    job = workshop.job(job_id)
    assert (job.status, job.lease_token, job.lost_attempts) == (JobStatus.QUEUED, None, 0)
    recipe = Recipe()
    workshop.run(recipe)
    assert recipe.calls[0]["checkpoint"] == b"1"
    assert workshop.job(job_id).status is JobStatus.SUCCEEDED
