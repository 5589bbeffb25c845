"""Whole jobs of the tasks beside classification: from a file that was uploaded to an adapter, by the real recipes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from core import catalogue
from core.catalogue import BaseModel, Task, default_base_model
from core.db import tenant_session
from core.models.fine_tune_jobs import FineTuneJob, JobStatus, Method
from core.storage import blob_store, tenant_key
from tests.datasets import ready_version
from tests.training.jobs.conftest import Workshop
from tests.training.recipe.tiny_chat import make_tiny_base
from training.confined import adapters, evaluations
from training.confined.checks import json_object
from training.errors import JobError
from training.inputs import load
from training.recipe.by_task import fine_tune
from training.recipe.settings import FineTuneSettings

ONE_EPOCH = FineTuneSettings(epochs=1, rank=2)


def tagged(number: int) -> dict[str, Any]:
    """A sentence with a person, whose name is personal data, and a product."""
    return {
        "tokens": ["Maria", "Jensen", "ordered", f"lamp{number}", "on", "day", str(number)],
        "tags": ["B-PER", "I-PER", "O", "B-PRODUCT", "O", "O", "O"],
    }


def chat(number: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"This is Maria Jensen. Where is order {number}?"},
            {"role": "assistant", "content": f"Order {number} is on its way."},
        ]
    }


def labeled(number: int) -> dict[str, Any]:
    return {
        "text": f"Where is my order number {number}?",
        "labels": [["a"], ["b"], ["a", "b"], []][number % 4],
    }


@pytest.fixture
def make_shop(workshop) -> Callable[[Callable[[int], dict[str, Any]], int], Workshop]:
    """`make_shop(row, rows)`: a tenant with so many rows, imported as the product does."""

    def make_shop(row: Callable[[int], dict[str, Any]], rows: int) -> Workshop:
        lines = "".join(json.dumps(row(number)) + "\n" for number in range(rows))
        version = ready_version(workshop.scope, lines.encode(), filename="rows.jsonl")
        return Workshop(workshop.scope, version)

    return make_shop


def trained(shop: Workshop) -> FineTuneJob:
    job_id = shop.launch(settings=ONE_EPOCH, seed=7)
    shop.run(fine_tune)
    job = shop.job(job_id)
    assert job.status is JobStatus.SUCCEEDED, job.error
    [fact] = shop.facts()
    assert fact.quantity == job.training_tokens
    assert fact.quantity > 0
    assert_passes_the_broker(shop, job)
    return job


def assert_passes_the_broker(shop: Workshop, job: FineTuneJob) -> None:
    """That what the real recipe makes is taken from a process that nobody trusts."""
    [adapter] = shop.adapters()
    with tenant_session(shop.scope) as session:
        file = blob_store().get(tenant_key(session, shop.scope.tenant_id), adapter.blob)
    task, base = shop.model().task, catalogue.get_base_model(job.base_model)
    adapters.check(file, task, base, ONE_EPOCH, adapter.labels)
    evaluations.check(json_object(job.evaluation, "evaluation"), task, adapter.labels, adapter.promotable)


@pytest.fixture
def chat_base(tmp_path, monkeypatch) -> BaseModel:
    """A tiny model in the place of the chat base."""
    real = default_base_model(Task.CHAT)
    base = make_tiny_base(tmp_path, real.folder(), real.id)
    monkeypatch.setattr("core.catalogue.CONVERTED", tmp_path)
    monkeypatch.setitem(catalogue._CATALOGUE, real.id, base)
    monkeypatch.setattr("training.recipe.chat.samples.MAX_NEW_TOKENS", 2)
    return base


def test_conversations_become_a_chat_model(make_shop, chat_base):
    shop = make_shop(chat, 20)
    job = trained(shop)
    [adapter] = shop.adapters()
    assert (shop.model().task, shop.model().base_model) == (Task.CHAT, chat_base.id)
    assert (adapter.labels, adapter.method, adapter.rank) == ([], Method.LORA, 2)
    assert adapter.base_digest == chat_base.sha256
    assert adapter.evaluation["task"] == "chat"
    assert adapter.evaluation["samples"][0]["prompt"].startswith("This is [PERSON_1]. Where is order")
    assert {"train_loss", "validation_loss"} <= {name for name, _ in shop.metrics(job.id)}


def test_tagged_tokens_become_a_tagger(make_shop):
    shop = make_shop(tagged, 24)
    job = trained(shop)
    [adapter] = shop.adapters()
    assert (shop.model().task, shop.model().base_model) == (Task.TAGGING, default_base_model(Task.TAGGING).id)
    assert adapter.labels == adapter.evaluation["labels"] == ["PER", "PRODUCT"]
    assert adapter.evaluation["task"] == "tagging"
    assert "validation_f1" in {name for name, _ in shop.metrics(job.id)}


def test_texts_with_several_labels_become_a_model_for_them(make_shop):
    shop = make_shop(labeled, 24)
    trained(shop)
    [adapter] = shop.adapters()
    assert shop.model().task is Task.MULTI_LABEL
    assert adapter.labels == adapter.evaluation["labels"] == ["a", "b"]
    assert adapter.evaluation["task"] == "multi-label"


def test_tokens_are_read_with_personal_data_reduced_to_its_kind(make_shop):
    shop = make_shop(tagged, 24)
    data = load(shop.scope, shop.version, lambda: None)
    words = {token for split in data.splits for example in split for token in example.tokens}
    assert "[PERSON]" in words
    assert not any("_" in word or "Jensen" in word for word in words)


@pytest.mark.parametrize("row", [chat, tagged], ids=["chat", "tagging"])
def test_a_full_fine_tune_is_refused_where_the_pool_could_not_serve_it(row, make_shop):
    shop = make_shop(row, 24)
    with pytest.raises(JobError, match="LoRA") as refused:
        shop.launch(settings=FineTuneSettings(method=Method.FULL))
    assert refused.value.field == "method"
