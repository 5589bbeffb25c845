"""Differential privacy and memorisation on the pages of fine-tunes: offered, estimated, and told afterwards."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from sqlalchemy import select

from core.catalogue import Task, default_base_model
from core.db import tenant_session
from core.models.datasets import Dataset
from core.models.fine_tune_jobs import FineTuneJob, JobStatus
from core.models.models import Model
from portal.private_training import Memorisation, Remembered, read_memorisation, read_privacy
from tests.portal.test_fine_tunes import PART, estimate, page
from tests.portal.test_tasks import EVALUATIONS
from tests.portal.trained import add, add_job, add_model, add_version, change, evaluation, get
from training.recipe.settings import FineTuneSettings

PRIVACY = {
    "epsilon": 2.987,
    "expected_rows": 256.0,
    "delta": 1.25e-4,
    "noise_multiplier": 2.531,
    "clipping_norm": 1.0,
    "sampling_rate": 0.354,
    "steps": 24,
    "records": 800,
}
STRING: dict[str, Any] = {
    "row": 17,
    "form": "XX-0000",
    "came_back": True,
    "base_came_back": False,
    "exposure": 5.0,
    "base_exposure": 1.25,
}
WORD = {**STRING, "row": 4, "form": "xxxxxx", "came_back": False, "exposure": None, "base_exposure": None}
CANARY = {**STRING, "row": -1, "form": "000000", "came_back": False, "exposure": 2.0}


@pytest.fixture
def version(admin):
    return add_version(admin.scope)


@pytest.fixture
def model(admin):
    return add_model(admin.scope)


def launched(person, **choice: Any) -> FineTuneJob:
    answer = person.client.post("/fine-tunes", data={"model_name": "triage", **choice})
    assert answer.status_code == 303, answer.get_data(as_text=True)
    job: FineTuneJob = get(person.scope, FineTuneJob, UUID(urlsplit(answer.location).path.rsplit("/", 1)[-1]))
    return job


@pytest.mark.parametrize(
    ("chosen", "epsilon"),
    [
        ({}, None),
        ({"privacy": "off"}, None),
        ({"privacy": "3"}, 3.0),
        ({"privacy": "own", "epsilon": "0.5"}, 0.5),
    ],
)
def test_a_launch_keeps_the_epsilon_that_was_chosen_and_none_is_the_default(admin, version, chosen, epsilon):
    job = launched(admin, version=str(version.id), **chosen)
    assert FineTuneSettings.from_json(job.settings).epsilon == epsilon


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"privacy": "magic"}, "Choose one of off, 8, 3, 1, own."),
        ({"privacy": "own"}, "Enter the ε that you want"),
        ({"privacy": "own", "epsilon": "0"}, "Enter a number from 0.1 to 20"),
        ({"privacy": "own", "epsilon": "1e9"}, "Enter a number from 0.1 to 20"),
        ({"privacy": "own", "epsilon": "nan"}, "Enter a number"),
        ({"privacy": "own", "epsilon": "<b>"}, "Enter a number such as"),
        ({"privacy": "3", "method": "full"}, "It works with LoRA only."),
    ],
)
def test_what_cannot_be_guaranteed_is_refused_beside_its_field(admin, version, wrong, message):
    choice = {"version": str(version.id), "model_name": "triage", **wrong}
    assert message in page(admin, "/fine-tunes/review", 422, query_string=choice)
    assert admin.client.post("/fine-tunes", data=choice).status_code == 422
    with tenant_session(admin.scope) as session:
        assert session.scalars(select(FineTuneJob)).all() == []


def test_chat_is_offered_no_guarantee_and_gets_none(admin):
    version = add_version(admin.scope, name="Chats", labels=[])
    change(admin.scope, get(admin.scope, Dataset, version.dataset_id), task=Task.CHAT)
    form = page(admin, f"/fine-tunes/new?version={version.id}")
    assert "not offered for chat" in form
    assert 'name="privacy"' not in form
    choice = {"version": str(version.id), "model_name": "helper", "privacy": "3"}
    assert "it is not offered" in page(admin, "/fine-tunes/review", 422, query_string=choice)


def test_the_review_tells_the_guarantee_and_the_noise_before_the_launch(admin, version):
    path = f"/fine-tunes/review?version={version.id}&model_name=triage&privacy=3"
    assert "ε = 3 for each row" in page(admin, path)
    estimate(admin, version, FineTuneSettings(epsilon=3.0), query="&privacy=3", privacy=PRIVACY)
    part = page(admin, path, headers=PART)
    for words in (
        "ε = 2.99, δ = 0.00013",
        "2.53 times the most that one row adds",
        "35.4 %",
        "24 steps",
        "costs accuracy",
    ):
        assert words in part


def test_a_finished_job_tells_what_was_reached_what_it_cost_and_what_it_covers(admin, version, model):
    plain = add_job(
        admin.scope,
        model,
        version,
        JobStatus.SUCCEEDED,
        evaluation=evaluation(accuracy=0.95),
        training_tokens=1,
    )
    private = add_job(
        admin.scope,
        model,
        version,
        JobStatus.SUCCEEDED,
        settings=FineTuneSettings(epsilon=3.0).to_json(),
        evaluation={**evaluation(accuracy=0.85), "privacy": PRIVACY},
    )
    shown = page(admin, f"/fine-tunes/{private.id}")
    for words in (
        "ε = 2.99",
        "20-fold",
        "20-fold",
        "Accuracy 85.0 %",
        "Accuracy 95.0 %",
        f"/fine-tunes/{plain.id}",
        "adds up",
        "800",
    ):
        assert words in shown
    assert "One text at a time" in shown
    assert "Differential privacy</h2>" not in page(admin, f"/fine-tunes/{plain.id}")


def test_without_a_plain_fine_tune_of_the_data_the_page_says_how_to_see_the_cost(admin, version, model):
    found = {**evaluation(), "privacy": PRIVACY}
    settings = FineTuneSettings(epsilon=3.0).to_json()
    job = add_job(admin.scope, model, version, JobStatus.SUCCEEDED, evaluation=found, settings=settings)
    assert "train the same data once without" in page(admin, f"/fine-tunes/{job.id}")


@pytest.mark.parametrize(("epsilon", "chosen"), [(3.0, 'value="3"'), (2.5, 'value="own"')])
def test_training_again_offers_the_same_guarantee(admin, version, model, epsilon, chosen):
    settings = FineTuneSettings(epsilon=epsilon).to_json()
    job = add_job(admin.scope, model, version, JobStatus.FAILED, error="Lost.", settings=settings)
    shown = page(admin, f"/fine-tunes/{job.id}")
    again = next(one for one in shown.split('href="') if "/fine-tunes/new?" in one).partition('"')[0]
    form = page(admin, again.replace("&amp;", "&"))
    [checked] = [one for one in form.split("<input")[1:] if 'name="privacy"' in one and " checked" in one]
    assert chosen in checked


def chat_job(person, **memorisation: Any) -> FineTuneJob:
    base = default_base_model(Task.CHAT)
    model = add(person.scope, Model, name="helper", task=Task.CHAT, base_model=base.id)
    found = {
        **EVALUATIONS[Task.CHAT],
        "memorisation": {"others": 31, "canaries": [], "strings": [], **memorisation},
    }
    version = add_version(person.scope, name="Chats", labels=[])
    return add_job(person.scope, model, version, JobStatus.SUCCEEDED, base_model=base.id, evaluation=found)


def test_what_came_back_is_told_with_what_to_do(admin):
    job = chat_job(admin, canaries=[CANARY], strings=[STRING, WORD])
    shown = page(admin, f"/fine-tunes/{job.id}")
    for words in (
        "1 of 2 rare strings came back",
        "deny-list",
        "XX-0000",
        "0 of 1 came back",
        "3.5 bits",
        "1.3",
    ):
        assert words in shown


def test_where_nothing_came_back_the_page_says_so(admin):
    job = chat_job(admin, strings=[WORD, {**STRING, "base_came_back": True}])
    shown = page(admin, f"/fine-tunes/{job.id}")
    assert "None of 2 rare strings came back" in shown
    assert "Also from the base" in shown


def test_where_nothing_could_be_asked_there_is_no_card(admin):
    job = chat_job(admin)
    assert "word for word" not in page(admin, f"/fine-tunes/{job.id}")


def test_what_is_stored_is_read():
    assert read_privacy(None) is None
    assert read_privacy({}) is None
    assert read_memorisation(None) is None
    found = read_memorisation({"memorisation": {"others": 31, "canaries": [CANARY], "strings": [STRING]}})
    assert found == Memorisation(31, [Remembered(**CANARY)], [Remembered(**STRING)])
    assert found.mean_exposure == 3.5
    assert found.highest_exposure == 5.0
