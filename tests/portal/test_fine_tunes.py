"""A fine-tune through the portal's pages: choose, review, launch, watch, cancel, and read what came out."""

import json
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from sqlalchemy import select

from billing.plans import subscribe
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.audit import AuditEvent
from core.models.datasets import DatasetStatus
from core.models.fine_tune_jobs import FineTuneJob, JobLogLine, JobMetric, JobStatus, Method
from core.queues import redis
from core.storage import blob_store, tenant_key
from core.tenancy import Role
from portal.fine_tunes import PAGE
from tests.billing.tiers import tiered_plan
from tests.portal.trained import add, add_job, add_model, add_trained, add_version, change, get
from training.estimates import Estimate, Measuring
from training.recipe.settings import FineTuneSettings

PART = {"HX-Request": "true"}


def page(person, path, status=200, **options) -> str:
    response = person.client.get(path, **options)
    assert response.status_code == status, response.get_data(as_text=True)
    text: str = response.get_data(as_text=True)
    return text


def estimate(person, version, settings=None, query="", **found):
    """Have a worker's estimate there, as it leaves it; `query` is what the address says of the settings."""
    scope, settings = person.scope, settings or FineTuneSettings()
    page(person, f"/fine-tunes/review?version={version.id}&model_name=triage{query}")
    measuring = Measuring.start(scope.tenant_id, version.id, settings)
    assert measuring is not None
    measuring.finish(Estimate(**{"seconds": 200.0, "training_tokens": 300_000, **found}))


@pytest.fixture
def version(admin):
    return add_version(admin.scope)


@pytest.fixture
def model(admin):
    return add_model(admin.scope)


def test_without_a_ready_dataset_the_form_says_where_to_get_one(admin):
    add_version(admin.scope, status=DatasetStatus.REVIEW)
    assert "No dataset is ready yet" in page(admin, "/fine-tunes/new")


def test_the_form_offers_what_is_ready_and_takes_its_choice_from_the_address(admin, version, model):
    other = add_version(admin.scope, name="Reviews")
    form = page(admin, f"/fine-tunes/new?version={version.id}&model_name=triage&rank=8&method=full")
    assert f'<option selected value="{version.id}">Messages, version 1 (100 rows)</option>' in form
    assert f'<option value="{other.id}">Reviews, version 1' in form
    assert '<option value="triage"></option>' in form
    assert "<details open>" in form


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model_name": ""}, "Give the model a name."),
        ({"model_name": "Support Intents"}, "Use 1 to 64 lower-case letters"),
        ({"version": "0"}, "Not a valid choice"),
        ({"epochs": "0"}, "Enter a number from 1 to 100."),
        ({"epochs": "many"}, "Enter a whole number."),
        ({"learning_rate": "fast"}, "Enter a number such as 0.001."),
        ({"learning_rate": "nan"}, "Enter a number"),
        ({"rank": "900"}, "Enter a number from 1 to 64."),
        ({"seed": "-1"}, "Enter a number from 0 to 2147483647."),
        ({"method": "magic"}, "Choose one of lora, full."),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_launched(admin, version, wrong, message):
    choice = {"version": str(version.id), "model_name": "triage", **wrong}
    assert message in page(admin, "/fine-tunes/review", 422, query_string=choice)
    launched = admin.client.post("/fine-tunes", data=choice)
    assert launched.status_code == 422
    assert message in launched.get_data(as_text=True)
    with tenant_session(admin.scope) as session:
        assert session.scalars(select(FineTuneJob)).all() == []


def test_another_tenants_dataset_is_not_to_be_had(admin, other_admin, version):
    theirs = add_version(other_admin.scope)
    assert "Not a valid choice" in page(
        admin, f"/fine-tunes/review?version={theirs.id}&model_name=triage", 422
    )


def test_the_review_waits_for_the_estimate_and_can_be_launched_without(admin, version, model):
    path = f"/fine-tunes/review?version={version.id}&model_name=triage"
    review = page(admin, path)
    for words in ("gets its first version", "80 to train on, 10 to validate, 10 to test", "LoRA, rank 16"):
        assert words in review
    assert 'hx-trigger="every 1s"' in review
    assert '<noscript><meta http-equiv="refresh"' in review

    part = page(admin, path, headers=PART)
    assert "<html" not in part
    assert 'hx-trigger="every 1s"' in part

    answer = admin.client.post("/fine-tunes", data={"version": str(version.id), "model_name": "triage"})
    job = get(admin.scope, FineTuneJob, UUID(urlsplit(answer.location).path.rsplit("/", 1)[-1]))
    assert (job.status, job.model_id, job.estimate) == (JobStatus.QUEUED, model.id, None)


def test_the_estimate_tells_time_tokens_and_that_the_quota_covers_it(admin, version):
    estimate(admin, version)
    part = page(admin, f"/fine-tunes/review?version={version.id}&model_name=triage", headers=PART)
    for words in ("about 3 min 20 s", "about 300,000", "$0.00", "Free trial plan includes it", "500,000"):
        assert words in part
    assert "hx-trigger" not in part


def test_beyond_the_quota_the_estimate_tells_the_price(admin, version):
    estimate(admin, version, training_tokens=1_500_000)
    part = page(admin, f"/fine-tunes/review?version={version.id}&model_name=triage", headers=PART)
    assert "about $2.00" in part  # one million beyond the 500,000 that the trial includes
    assert "$2.00 a million" in part


def test_where_training_is_priced_by_tiers_the_estimate_says_so(admin, version):
    with operator_session("test") as db:
        subscribe(db, admin.scope.tenant_id, tiered_plan(db))
        db.commit()
    estimate(admin, version, training_tokens=1_500_000)
    part = page(admin, f"/fine-tunes/review?version={version.id}&model_name=triage", headers=PART)
    assert "about $0.60" in part
    assert "by the tiers of your Tiered plan" in part


def test_an_estimates_error_is_shown_and_the_launch_is_still_there(admin, version):
    estimate(admin, version, error="The rows cannot be read.")
    review = page(admin, f"/fine-tunes/review?version={version.id}&model_name=triage")
    assert "The rows cannot be read." in review
    assert "Launch" in review
    assert "hx-trigger" not in review


def test_a_launch_keeps_the_settings_the_seed_and_the_estimate(admin, version):
    settings = FineTuneSettings(method=Method.FULL, epochs=3, learning_rate=0.0005)
    path = f"/fine-tunes/review?version={version.id}&model_name=new-one&method=full&epochs=3&learning_rate=0.0005"
    page(admin, path)
    measuring = Measuring.start(admin.scope.tenant_id, version.id, settings)
    assert measuring is not None
    measuring.finish(Estimate(5.0, 99))
    choice = {
        "version": str(version.id),
        "model_name": "new-one",
        "method": "full",
        "epochs": "3",
        "learning_rate": "0.0005",
        "seed": "42",
    }
    answer = admin.client.post("/fine-tunes", data=choice)
    assert answer.status_code == 303
    job = get(admin.scope, FineTuneJob, UUID(urlsplit(answer.location).path.rsplit("/", 1)[-1]))
    assert FineTuneSettings.from_json(job.settings) == settings
    assert (job.seed, job.created_by_id) == (42, admin.user_id)
    assert job.estimate == {"seconds": 5.0, "training_tokens": 99, "error": None, "privacy": None}
    assert redis().llen("rq:queue:fine-tune") == 1


def test_a_waiting_job_says_so_and_asks_for_itself_again(admin, version, model):
    job = add_job(admin.scope, model, version, JobStatus.QUEUED)
    shown = page(admin, f"/fine-tunes/{job.id}")
    assert "Waiting for a worker" in shown
    assert f'hx-get="/fine-tunes/{job.id}" hx-trigger="every 2s"' in shown
    assert '<noscript><meta http-equiv="refresh"' in shown


def test_a_running_job_shows_how_far_it_is_its_curves_and_its_log(admin, version, model):
    job = add_job(
        admin.scope,
        model,
        version,
        JobStatus.TRAINING,
        progress=0.42,
        eta_seconds=75,
        phase_message="Epoch 2 of 3",
        attempt=2,
    )
    points = [
        ("train_loss", 10, 1.5),
        ("train_loss", 20, 0.75),
        ("validation_loss", 20, 0.8),
        ("validation_accuracy", 20, 0.9),
    ]
    for name, step, value in points:
        add(admin.scope, JobMetric, job_id=job.id, name=name, step=step, epoch=0.5, value=value)
    add(admin.scope, JobLogLine, job_id=job.id, message="Epoch 1: <accuracy>")

    part = page(admin, f"/fine-tunes/{job.id}", headers=PART)
    assert "<html" not in part
    for words in (
        "Epoch 2 of 3",
        "42 %",
        "1 min 15 s left",
        "Epoch 1: &lt;accuracy&gt;",
        "was interrupted",
    ):
        assert words in part
    specifications = [json.loads(one.partition("'")[0]) for one in part.split("data-chart='")[1:]]
    assert [one["labels"] for one in specifications] == [[10, 20], [20]]
    assert specifications[0]["series"] == [
        {"name": "Training", "values": [1.5, 0.75]},
        {"name": "Validation", "values": [None, 0.8]},
    ]


def test_cancelling_is_audited_and_asked_for_once(admin, version, model):
    job = add_job(admin.scope, model, version, JobStatus.TRAINING)
    assert "Cancel the fine-tune" in page(admin, f"/fine-tunes/{job.id}")
    assert admin.client.post(f"/fine-tunes/{job.id}/cancel").status_code == 303
    shown = page(admin, f"/fine-tunes/{job.id}")
    assert "Cancelling" in shown
    assert "Cancel the fine-tune" not in shown
    with tenant_session(admin.scope) as session:
        assert session.scalars(select(AuditEvent.action)).all().count("fine_tune.cancelled") == 1


def test_what_has_ended_cannot_be_cancelled(admin, version, model):
    job = add_job(admin.scope, model, version, JobStatus.FAILED, error="The worker stopped.")
    answer = admin.client.post(f"/fine-tunes/{job.id}/cancel", follow_redirects=True)
    assert "nothing to cancel" in answer.get_data(as_text=True)


def test_a_failed_job_says_why_and_offers_the_same_again(admin, version, model):
    settings = FineTuneSettings(epochs=5).to_json()
    job = add_job(
        admin.scope, model, version, JobStatus.FAILED, error="Label “other” has one text.", settings=settings
    )
    shown = page(admin, f"/fine-tunes/{job.id}")
    assert "Label “other” has one text." in shown
    assert "hx-trigger" not in shown
    again = next(one for one in shown.split('href="') if "/fine-tunes/new?" in one).partition('"')[0]
    form = page(admin, again.replace("&amp;", "&"))
    assert f'<option selected value="{version.id}">' in form
    assert 'value="triage"' in form
    assert 'name="epochs"' in form.partition('value="5"')[0]


@pytest.mark.parametrize(
    ("checkpoint", "words"), [("checkpoints/x", "Its last checkpoint is kept"), (None, "had not come to a")]
)
def test_a_cancelled_job_says_what_was_kept(admin, version, model, checkpoint, words):
    job = add_job(admin.scope, model, version, JobStatus.CANCELLED, checkpoint_blob=checkpoint)
    assert words in page(admin, f"/fine-tunes/{job.id}")


def test_a_finished_job_shows_its_evaluation_and_where_it_comes_from(admin, version, model):
    adapter = add_trained(admin.scope, model, version)
    change(admin.scope, model, current_adapter_id=adapter.id)
    shown = page(admin, f"/fine-tunes/{adapter.job_id}")
    for words in (
        "Version 1 is live",
        "90.0 %",
        "85.0 % to 95.0 %",
        "10.0 points below this fine-tune",
        "3.1 %",
        "taken for",
        "4,711",
        "ccccccccccc…",
        "torch 2.13.0",
        f"/models/{model.id}",
    ):
        assert words in shown
    assert "hx-trigger" not in shown


def test_rows_with_suspected_labels_are_shown_with_their_stored_texts(admin, model):
    rows = [{"text": "Where is <it>?", "label": "refund", "split": "train", "row": 4711}]
    with tenant_session(admin.scope) as session:
        key = tenant_key(session, admin.scope.tenant_id)
        blob = blob_store().put(key, "rows.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    version = add_version(admin.scope, blob=blob.name, digest=blob.digest)
    adapter = add_trained(admin.scope, model, version)
    assert "Where is &lt;it&gt;?" in page(admin, f"/fine-tunes/{adapter.job_id}")


def test_a_version_that_may_not_be_promoted_says_why(admin, version, model):
    adapter = add_trained(admin.scope, model, version, reason="It does not beat its probe.")
    shown = page(admin, f"/fine-tunes/{adapter.job_id}")
    assert "Version 1 was not promoted" in shown
    assert "It does not beat its probe." in shown


def test_a_version_that_another_one_is_before_can_be_promoted(admin, version, model):
    first, second = (add_trained(admin.scope, model, version, number) for number in (1, 2))
    change(admin.scope, model, current_adapter_id=first.id)
    assert "Version 2 can be promoted" in page(admin, f"/fine-tunes/{second.job_id}")


def test_the_list_is_empty_then_live_then_at_rest(admin, version, model):
    assert "No fine-tunes yet" in page(admin, "/fine-tunes")
    job = add_job(admin.scope, model, version, JobStatus.TRAINING, created_by_id=admin.user_id, progress=0.5)
    live = page(admin, "/fine-tunes")
    for words in ("triage", "Training", "50 %", "Messages", "Ada", 'hx-trigger="every 3s"'):
        assert words in live
    change(admin.scope, job, status=JobStatus.CANCELLED, finished_at=now())
    part = page(admin, "/fine-tunes", headers=PART)
    assert "Cancelled" in part
    assert "hx-trigger" not in part


def test_the_list_has_pages(admin, version, model):
    for _ in range(PAGE + 1):
        add_job(admin.scope, model, version, JobStatus.CANCELLED)
    assert 'href="/fine-tunes?page=2"' in page(admin, "/fine-tunes")
    second = page(admin, "/fine-tunes?page=2")
    assert second.count("Cancelled") == 1
    assert 'href="/fine-tunes?page=1"' in second
    assert "nothing this far back" in page(admin, "/fine-tunes?page=9")


def test_a_viewer_watches_and_is_offered_nothing_to_start(admin, member, version, model):
    viewer = member(Role.VIEWER)
    job = add_job(admin.scope, model, version, JobStatus.TRAINING)
    assert "New fine-tune" not in page(viewer, "/fine-tunes")
    assert "Cancel the fine-tune" not in page(viewer, f"/fine-tunes/{job.id}")


def test_another_tenants_job_does_not_exist(admin, other_admin, version, model):
    job = add_job(admin.scope, model, version, JobStatus.TRAINING)
    assert other_admin.client.get(f"/fine-tunes/{job.id}").status_code == 404
    assert other_admin.client.get(f"/fine-tunes/{job.id}", headers=PART).status_code == 404
    assert other_admin.client.post(f"/fine-tunes/{job.id}/cancel").status_code == 404


def test_a_ready_dataset_leads_to_its_fine_tune(admin, version):
    assert f"/fine-tunes/new?version={version.id}" in page(admin, f"/datasets/versions/{version.id}")
