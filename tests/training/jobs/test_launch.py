"""Launching: what is written, what is refused, and who may."""

from dataclasses import replace
from uuid import uuid4

import pytest

from core.db import tenant_session
from core.models.datasets import DatasetStatus
from core.models.fine_tune_jobs import FineTuneJob, JobStatus, Method
from core.models.models import Model
from core.queues import Queue, rq_queue
from core.tenancy import ROLE_PERMISSIONS, PermissionDenied, Role
from training import jobs
from training.doorbell import RUN_NEXT_JOB
from training.errors import JobError
from training.estimates import Estimate
from training.jobs import HIGHEST_SEED, MOST_QUEUED
from training.recipe.settings import FineTuneSettings


def test_a_job_is_written_down_and_rung_for_once(workshop):
    settings = FineTuneSettings(method=Method.FULL, epochs=2)
    estimate = Estimate(60.0, 1000)
    job = workshop.job(workshop.launch("support", settings=settings, estimate=estimate, seed=7))
    assert (job.status, job.attempt, job.seed, job.method) == (JobStatus.QUEUED, 0, 7, Method.FULL)
    assert FineTuneSettings.from_json(job.settings) == settings
    assert job.estimate == {"seconds": 60.0, "training_tokens": 1000, "error": None, "privacy": None}
    assert job.dataset_version_id == workshop.version.id
    assert workshop.model().id == job.model_id
    assert workshop.actions()[-2:] == ["model.created", "fine_tune.launched"]
    [ring] = rq_queue(Queue.FINE_TUNE).jobs
    assert (ring.func_name, ring.args) == (RUN_NEXT_JOB, [])
    assert ring.timeout is not None
    assert ring.timeout > 24 * 3600


def test_a_launch_that_is_rolled_back_rings_for_nothing(workshop):
    with tenant_session(workshop.scope) as session:
        jobs.launch(
            session, workshop.scope, version=workshop.version, model_name="a", settings=FineTuneSettings()
        )
    assert rq_queue(Queue.FINE_TUNE).is_empty()
    assert workshop.all(Model) == workshop.all(FineTuneJob) == []


def test_a_seed_is_chosen_and_kept(workshop):
    seeds = {workshop.job(workshop.launch()).seed for _ in range(4)}
    assert len(seeds) == 4
    assert all(0 <= seed <= HIGHEST_SEED for seed in seeds)


def test_a_second_job_of_a_name_trains_the_same_model(workshop):
    first, second = (workshop.job(workshop.launch("support")) for _ in range(2))
    assert first.model_id == second.model_id
    assert workshop.actions().count("model.created") == 1


@pytest.mark.parametrize("name", ["", "Support", "sup port", "süß", "a" * 65, "support\n", "../a"])
def test_a_name_that_cannot_be_called_is_refused_at_its_field(workshop, name):
    with pytest.raises(JobError, match="lower-case letters") as refused:
        workshop.launch(name)
    assert refused.value.field == "model_name"


@pytest.mark.parametrize("seed", [-1, HIGHEST_SEED + 1])
def test_a_seed_that_cannot_be_is_refused_at_its_field(workshop, seed):
    with pytest.raises(JobError, match="whole number") as refused:
        workshop.launch(seed=seed)
    assert refused.value.field == "seed"


def test_a_model_on_another_base_is_not_mixed_with_this_one(workshop):
    with tenant_session(workshop.scope) as session:
        session.add(Model(tenant_id=workshop.scope.tenant_id, name="support", base_model="older"))
        session.commit()
    with pytest.raises(JobError, match="Choose another name") as refused:
        workshop.launch("support")
    assert refused.value.field == "model_name"


def test_only_a_version_that_is_ready_is_trained_on(workshop):
    workshop.version.status = DatasetStatus.REVIEW
    with pytest.raises(JobError, match="Choose one that is ready") as refused:
        workshop.launch()
    assert refused.value.field == "version"


def test_a_tenant_cannot_fill_the_queue(workshop, make_workshop):
    waiting = workshop.launch()
    with tenant_session(workshop.scope) as session:
        job = session.get_one(FineTuneJob, waiting)
        columns = {column.name: getattr(job, column.name) for column in FineTuneJob.__table__.columns}
        session.add_all(FineTuneJob(**{**columns, "id": uuid4()}) for _ in range(MOST_QUEUED - 1))
        session.commit()
    with pytest.raises(JobError, match="100 of your fine-tunes are waiting"):
        workshop.launch()
    make_workshop().launch()
    workshop.cancel(waiting)
    workshop.launch()


@pytest.mark.parametrize("role", [Role.FINANCE, Role.VIEWER])
def test_who_may_not_launch_may_not_cancel_either(workshop, role):
    scope = replace(workshop.scope, permissions=ROLE_PERMISSIONS[role])
    job_id = workshop.launch()
    with tenant_session(scope) as session:
        with pytest.raises(PermissionDenied):
            jobs.launch(session, scope, version=workshop.version, model_name="a", settings=FineTuneSettings())
        with pytest.raises(PermissionDenied):
            jobs.cancel(session, scope, session.get_one(FineTuneJob, job_id))
    assert workshop.job(job_id).status is JobStatus.QUEUED


def test_another_tenant_sees_no_job_and_can_train_on_none_of_this_ones_data(workshop, make_workshop):
    job_id = workshop.launch()
    other = make_workshop()
    with tenant_session(other.scope) as session:
        assert session.get(FineTuneJob, job_id) is None
    with pytest.raises(JobError, match="no such dataset version"):
        other.launch(version=workshop.version)
