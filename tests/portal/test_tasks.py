"""The portal's pages for each task: datasets, fine-tunes, evaluations, models and how to call them."""

import json
from typing import Any

import pytest

from core.catalogue import Task, default_base_model
from core.models.datasets import Dataset
from core.models.fine_tune_jobs import JobStatus, Method
from core.models.models import Adapter, Model
from portal.highlights import Piece, Span, cut, cut_tokens
from tests.datasets import check, ready_version, upload
from tests.people import Person
from tests.portal.trained import add, add_job, add_version, change, evaluation, get

CHATS = [
    {
        "messages": [
            {"role": "system", "content": "You help the customers of a shop."},
            {"role": "user", "content": f"How long is order {number} on its way?"},
            {"role": "assistant", "content": f"About {number} days."},
        ]
    }
    for number in range(30)
]
TAGGED = [
    {
        "tokens": ["where", "is", f"#{number}", "with", "desk", "lamps"],
        "tags": ["O", "O", "B-ORDER", "O", "B-PRODUCT", "I-PRODUCT"],
    }
    for number in range(30)
]
SEVERAL = [{"text": f"Parcel {number}", "labels": ["late", "broken"][: number % 3]} for number in range(30)]


def jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def page(person: Person, path: str, status: int = 200, **query: Any) -> str:
    response = person.client.get(path, query_string=query, follow_redirects=True)
    assert response.status_code == status, path
    text: str = response.get_data(as_text=True)
    return text


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.04, "high": value + 0.03}


def per_class(*labels: str) -> list[dict[str, Any]]:
    return [{"label": label, "precision": 0.8, "recall": 0.6, "f1": 0.7, "support": 9} for label in labels]


EVALUATIONS: dict[Task, dict[str, Any]] = {
    Task.CLASSIFICATION: evaluation(),
    Task.MULTI_LABEL: {
        "task": "multi-label",
        "labels": ["broken", "late"],
        "test": {
            "rows": 20,
            "micro_f1": figure(0.881),
            "macro_f1": figure(0.802),
            "exact_match": 0.753,
            "per_class": per_class("broken", "late"),
        },
        "probe": {"micro_f1": 0.704, "macro_f1": 0.6},
        "promotion": {"promotable": True, "reason": None},
    },
    Task.TAGGING: {
        "task": "tagging",
        "labels": ["ORDER", "PRODUCT"],
        "test": {
            "rows": 20,
            "tokens": 120,
            "f1": figure(0.912),
            "precision": 0.903,
            "recall": 0.924,
            "per_entity": per_class("ORDER", "PRODUCT"),
        },
        "probe": {"f1": 0.705},
        "promotion": {"promotable": True, "reason": None},
    },
    Task.CHAT: {
        "task": "chat",
        "test": {
            "rows": 20,
            "tokens": 812,
            "loss": 1.234,
            "perplexity": 3.43,
            "base_loss": 2.811,
            "base_perplexity": 16.627,
        },
        "samples": [
            {
                "row": 17,
                "prompt": "Where is my <parcel>?",
                "expected": "On its way.",
                "answer": "It is on its way.",
                "base_answer": "I do not know.",
            }
        ],
        "promotion": {"promotable": True, "reason": None},
    },
}
LABELS = {
    Task.CLASSIFICATION: ["delivery", "refund"],
    Task.MULTI_LABEL: ["broken", "late"],
    Task.TAGGING: ["ORDER", "PRODUCT"],
    Task.CHAT: [],
}


def add_live_model(scope: Any, task: Task, version: Any = None) -> tuple[Model, Any]:
    """A model of `task` with a live version, and the job that made it."""
    base = default_base_model(task)
    version = version or add_version(scope, name=f"Data for {task}", labels=[])
    change(scope, get(scope, Dataset, version.dataset_id), task=task)
    model = add(scope, Model, name="triage", task=task, base_model=base.id)
    job = add_job(
        scope, model, version, JobStatus.SUCCEEDED, base_model=base.id, evaluation=EVALUATIONS[task]
    )
    adapter = add(
        scope,
        Adapter,
        model_id=model.id,
        job_id=job.id,
        version=1,
        digest="a" * 64,
        blob="adapters/one.safetensors",
        size_bytes=100,
        base_model=base.id,
        base_digest=base.sha256,
        method=Method.LORA,
        rank=16,
        labels=LABELS[task],
        evaluation=EVALUATIONS[task],
        lineage={},
        promotable=True,
    )
    change(scope, model, current_adapter_id=adapter.id)
    return model, job


@pytest.mark.parametrize(
    ("rows", "task", "fields", "found"),
    [
        (CHATS, "chat", ("Conversations or questions", "Answers"), ("Turns", "Typical conversation")),
        (TAGGED, "tagging", ("Tokens", "Tags"), ("Entity types", "Mentions")),
        (SEVERAL, "multi-label", ("Labels", "Between the labels"), ("Labels", "10 rows without labels")),
    ],
)
def test_an_upload_asks_for_what_its_task_needs_and_its_report_shows_what_matters(
    admin, rows, task, fields, found
):
    version_id = upload(admin.scope, jsonl(rows), filename="rows.jsonl")
    path = f"/datasets/versions/{version_id}"
    columns = page(admin, path)
    assert f'name="task" type="hidden" value="{task}"' in columns
    for words in fields:
        assert f">{words}" in columns
    check(admin.scope, version_id)
    review = page(admin, path)
    for words in found:
        assert words in review


def test_the_owner_says_what_an_ambiguous_file_is_for(admin):
    data = b"text,topic\n" + b"".join(b"Message %d,late / broken\n" % number for number in range(30))
    path = f"/datasets/versions/{upload(admin.scope, data, filename='rows.csv')}"
    assert 'name="separator"' not in page(admin, f"{path}/columns")
    assert 'name="separator"' in page(admin, f"{path}/columns", task="multi-label")
    assert "Columns" in page(admin, f"{path}/columns", task="nonsense")
    given = {"task": "multi-label", "text": "text", "label": "topic", "separator": ";", "split": ""}
    assert admin.client.post(f"{path}/check", data=given).status_code == 303


def test_another_task_than_the_datasets_own_is_refused_beside_the_question(admin):
    first = ready_version(admin.scope, jsonl(TAGGED), filename="rows.jsonl")
    version_id = upload(admin.scope, jsonl(SEVERAL), filename="rows.jsonl")
    change(admin.scope, get(admin.scope, type(first), version_id), dataset_id=first.dataset_id, number=2)
    given = {"task": "multi-label", "text": "text", "label": "labels", "separator": "", "split": ""}
    response = admin.client.post(f"/datasets/versions/{version_id}/check", data=given)
    assert response.status_code == 422
    assert "are for tagging" in response.get_data(as_text=True)


def test_stored_rows_are_shown_and_downloaded_as_their_task_has_them(admin):
    chat = ready_version(admin.scope, jsonl(CHATS), filename="rows.jsonl")
    shown = page(admin, f"/datasets/versions/{chat.id}")
    assert '<li data-role="assistant"><span>Assistant</span><p>About 0 days.</p></li>' in shown
    rows = page(admin, f"/datasets/versions/{chat.id}/rows.csv")
    assert "row,messages,split" in rows

    tagged = ready_version(admin.scope, jsonl(TAGGED), filename="rows.jsonl")
    shown = page(admin, f"/datasets/versions/{tagged.id}")
    assert '<span class="entity" data-tone="1">desk lamps<small>PRODUCT</small></span>' in shown


@pytest.mark.parametrize("task", Task)
def test_a_fine_tune_is_offered_what_its_task_allows(admin, task):
    version = add_version(admin.scope, labels=[])
    change(admin.scope, get(admin.scope, Dataset, version.dataset_id), task=task)
    has_full = task in (Task.CLASSIFICATION, Task.MULTI_LABEL)
    form = page(admin, "/fine-tunes/new", version=version.id)
    assert ("Full fine-tune" in form) == has_full
    if not has_full:
        refused = page(
            admin, "/fine-tunes/review", 422, version=version.id, model_name="triage", method="full"
        )
        assert "there is LoRA only" in refused


@pytest.mark.parametrize(
    ("task", "on_job", "on_model"),
    [
        (
            Task.MULTI_LABEL,
            ("Micro F1", "88.1 %", "75.3 %", "70.4 %", "Test results by label"),
            ("/v1/classify", "88.1 %", "broken"),
        ),
        (
            Task.TAGGING,
            ("91.2 %", "90.3 %", "92.4 %", "70.5 %", "Test results by type", "PRODUCT"),
            ("/v1/tag", "91.2 %", "Entity types", "PRODUCT"),
        ),
        (
            Task.CHAT,
            ("1.234", "2.811", "3.43", "Where is my &lt;parcel&gt;?", "It is on its way.", "I do not know."),
            ("/v1/chat/completions", "from openai import OpenAI", "1.234", "Perplexity"),
        ),
    ],
)
def test_a_models_pages_show_what_the_test_said_of_its_task_and_how_to_call_it(admin, task, on_job, on_model):
    model, job = add_live_model(admin.scope, task)
    shown = page(admin, f"/fine-tunes/{job.id}")
    for words in on_job:
        assert words in shown
    shown = page(admin, f"/models/{model.id}")
    for words in on_model:
        assert words in shown


@pytest.mark.parametrize("task", Task)
def test_lists_show_each_models_first_figure(admin, task):
    add_live_model(admin.scope, task)
    name, value = {
        Task.CLASSIFICATION: ("Accuracy", "90.0 %"),
        Task.MULTI_LABEL: ("Micro F1", "88.1 %"),
        Task.TAGGING: ("F1", "91.2 %"),
        Task.CHAT: ("Loss", "1.234"),
    }[task]
    for path in ("/fine-tunes", "/models", "/"):
        shown = page(admin, path)
        assert f">{name}<" in shown, path
        assert value in shown, path


def test_the_playground_leads_to_a_chat_and_tells_the_model_what_its_data_told_it(admin):
    version = ready_version(admin.scope, jsonl(CHATS), filename="rows.jsonl")
    model, _ = add_live_model(admin.scope, Task.CHAT, version)
    shown = page(admin, "/playground", model=model.name)
    assert 'action="/playground/chat"' in shown
    assert "You help the customers of a shop.</textarea>" in shown
    assert "You help the customers of a shop." in page(admin, f"/models/{model.id}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": " "}, "Write a message."),
        ({"said": "{"}, "Start a new one."),
        ({"said": '[{"role": "robot", "content": ""}]'}, "Start a new one."),
        ({"said": "[" * 100_000}, "Start a new one."),
        ({"temperature": "hot"}, "Not a valid"),
        ({"model": "none"}, "Not a valid choice"),
    ],
)
def test_a_message_that_is_wrong_is_told_and_nothing_is_asked(admin, given, message):
    add_live_model(admin.scope, Task.CHAT)
    data = {"model": "triage", "text": "Hello", "temperature": "0", "max_tokens": "16", **given}
    response = admin.client.post("/playground/chat", data=data)
    assert response.status_code == 422
    assert message in response.get_data(as_text=True)


def test_a_text_is_cut_at_its_entities():
    assert cut("to Ada", [Span(3, 6, "PERSON"), Span(4, 6, "NAME")]) == [
        Piece("to "),
        Piece("Ada", "PERSON"),
    ]
    tags = ["B-A", "I-A", "B-A", "O", "I-B"]
    assert cut_tokens(["a", "b", "c", "d", "e"], tags) == [
        Piece("a b", "A"),
        Piece(" "),
        Piece("c", "A"),
        Piece(" d "),
        Piece("e", "B"),
    ]
