"""Every field of a form, a body or a query that may name an object, with another tenant's in it.

The answer says that there is no such thing, and is the same as for one that is nowhere. A new field that is neither
in a case here nor listed as naming nobody's object fails.
"""

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import update

from core.catalogue import DEFAULT_BASE_MODEL, Task
from core.db import operator_session
from core.models.models import Model
from core.queues import Queue
from inference.gateway.openapi import document
from tests.api.workers import work_off
from tests.isolation.conftest import written
from tests.isolation.fields import api_fields, bodies_that_are_read_raw, choosing_fields, query_names
from tests.isolation.swaps import Answer, ask, difference, nowhere_like, spelled, with_value


@dataclass(frozen=True)
class Case:
    """A request with an object's id or name in one of its fields: the world's `argument`.

    `task` is what the models of both tenants are for at that moment. With an object of the caller's own the answer is
    another one, unless `own_differs` is not so, or it would take a model to give it.
    """

    method: str
    path: str
    argument: str
    fields: dict[str, Any] = field(default_factory=dict)
    statuses: tuple[int, ...] = (422,)
    task: Task = Task.CLASSIFICATION
    as_list: bool = False
    own_differs: bool = True


_FINE_TUNE = {"model_name": "new-model", "method": "lora", "rank": "8"}
_KEY = {"name": "key", "access": "predict", "lifetime_days": "0"}
_CHAT = {"text": "Hello", "temperature": "0", "max_tokens": "8", "said": "[]"}

FORM_CASES = {
    "FineTuneForm.version": [
        Case("GET", "/fine-tunes/new", "version_id", _FINE_TUNE, (200,)),
        Case("GET", "/fine-tunes/review", "version_id", _FINE_TUNE),
        Case("POST", "/fine-tunes", "version_id", _FINE_TUNE),
    ],
    "BudgetForm.api_key": [Case("POST", "/budgets", "key_id", {"amount": "10", "effect": "cap"})],
    "KeyForm.default_model": [Case("POST", "/keys", "model", _KEY, task=Task.CHAT)],
    "KeyForm.models": [Case("POST", "/keys", "model", _KEY, as_list=True)],
    "PlaygroundForm.model": [Case("POST", "/playground", "model", {"text": "Hello"}, own_differs=False)],
    "ChatForm.model": [
        Case("POST", "/playground/chat", "model", _CHAT, task=Task.CHAT, own_differs=False),
        Case("POST", "/playground/chat/stream", "model", _CHAT, task=Task.CHAT, own_differs=False),
    ],
}
QUERY_CASES = {
    "model": [
        Case("GET", "/playground", "model", statuses=(200,)),
        Case("GET", "/playground/chat", "model", statuses=(200,), task=Task.CHAT),
        Case("GET", "/docs/api", "model", statuses=(200,)),
    ]
}
TEXT_CASES = {
    # A name that both may use: whoever asks gets the first version of a model of their own.
    "model_name": [
        Case(
            "GET",
            "/fine-tunes/review",
            "model",
            {"method": "lora", "rank": "8"},
            (200, 422),
            own_differs=False,
        )
    ],
}

FORMS_THAT_NAME_NOBODYS = {
    "AuditFilterForm.action": "kinds of events",
    "ChangePlanForm.plan": "the operator's staff see every plan",
    "ChangePlanForm.start": "a day",
    "ChatForm.said": "the conversation itself",
    "CloseMonthForm.month": "a month",
    "ColumnsForm.label": "a column of the file at hand",
    "ColumnsForm.split": "a column of the file at hand",
    "ColumnsForm.task": "a kind of task",
    "ColumnsForm.text": "a column of the file at hand",
    "ContractForm.copy_of": "the operator's staff see every plan",
    "CorrectionForm.entity": "a kind of personal data",
    "CredentialForm.credential": "what a passkey signed, which says whose it is: tests/portal/test_passkeys.py",
    "CredentialForm.next": "a page of the portal",
    "FineTuneForm.method": "LoRA or all weights",
    "InvoiceFilterForm.month": "a month",
    "InvoiceFilterForm.plan": "the operator's staff see every plan",
    "InvoiceFilterForm.tenant": "the operator's staff see every tenant",
    "LoginForm.next": "a page of the portal",
    "PasskeyForm.credential": "a passkey that is made at that moment",
}
QUERIES_THAT_NAME_NOBODYS = {
    "by": "how a table is split",
    "checkout": "a checkout at Stripe, which is asked whose it is: tests/portal/test_payment.py",
    "day": "a day",
    "from": "where a page of rows begins",
    "kind": "a kind of personal data",
    "month": "a month",
    "next": "a page of the portal",
    "page": "a number",
    "task": "a kind of task",
    "portal/audit_log.py": "repeats the fields of AuditFilterForm",
    "portal/views/findings.py": "repeats its own `kind`, `all` and `from`",
}
RAW_BODIES_THAT_NAME_NOBODYS = {
    "portal/views/stripe_webhook.py": "signed by Stripe: tests/billing/stripe/test_inbox.py"
}


def test_every_field_that_may_name_an_object_has_a_case_or_a_reason():
    listed = FORM_CASES.keys() | FORMS_THAT_NAME_NOBODYS.keys()
    assert choosing_fields() == listed
    assert query_names() == QUERY_CASES.keys() | QUERIES_THAT_NAME_NOBODYS.keys()
    assert bodies_that_are_read_raw() == RAW_BODIES_THAT_NAME_NOBODYS.keys()


@pytest.fixture
def answering(neighbours):
    """`answering(task)`: the model of each tenant is for the task, and answers by its adapter."""

    def answering(task: Task) -> None:
        with operator_session("test") as session:
            for world in (neighbours.mine, neighbours.theirs):
                session.execute(
                    update(Model)
                    .where(Model.id == world.arguments["model_id"])
                    .values(task=task, current_adapter_id=world.arguments["adapter_id"])
                )
            session.commit()

    return answering


def asked(client, case: Case, name: str, value: object) -> Answer:
    """The answer to the case's request with `value` in its field `name`."""
    fields = {**case.fields, name: [value] if case.as_list else value}
    where = "query_string" if case.method == "GET" else "data"
    return ask(client, case.method, case.path, value, **{where: fields})


@pytest.mark.parametrize(
    ("name", "cases"),
    [(name.rpartition(".")[2], cases) for name, cases in (FORM_CASES | QUERY_CASES | TEXT_CASES).items()],
    ids=(FORM_CASES | QUERY_CASES | TEXT_CASES).keys(),
)
def test_a_field_with_another_tenants_object_is_as_wrong_as_with_none(
    superuser, neighbours, answering, name, cases
):
    client, other = neighbours.admin.client, neighbours.theirs.scope.tenant_id
    for case in cases:
        answering(case.task)
        before = written(superuser, other)
        theirs, mine = (str(world.arguments[case.argument]) for world in (neighbours.theirs, neighbours.mine))
        if name == "model_name":
            case.fields["version"] = str(neighbours.mine.arguments["version_id"])
        nowhere = str(nowhere_like(neighbours.theirs.arguments[case.argument]))
        asked(client, case, name, nowhere)  # the first one makes connections, too
        for one, none in zip(spelled(theirs), spelled(nowhere), strict=True):
            expected, found = asked(client, case, name, none), asked(client, case, name, one)
            assert found.status in case.statuses, f"{case.path}: {found.status}"
            assert not difference(found, expected), f"{case.path}: {difference(found, expected)}"
        if case.own_differs:
            assert difference(asked(client, case, name, mine), expected), (
                f"{case.path}: one's own is none either"
            )
        assert written(superuser, other) == before, case.path


API_CASES = {
    "body.model": "model",
    "query.model": "model",
    "body.input_file_id": "file_id",
    "body.training_file": "file_id",
    "body.validation_file": "file_id",
    "query.after": "",
}
AFTER = {
    "list_batches": "batch_id",
    "list_files": "file_id",
    "list_jobs": "fine_tuning_job_id",
    "list_events": "fine_tuning_job_id",
    "list_checkpoints": "fine_tuning_job_id",
}
"""By operation, whose objects a page may begin after."""
API_WORDS = {
    "body.file": "the content",
    "body.ignore_labels": "labels of the model at hand",
    "body.input": "a text",
    "body.inputs": "a text",
    "body.messages.content": "a text",
    "body.messages.content.text": "a text",
    "body.messages.name": "who speaks, in the client's words",
    "body.metadata.*": "the client's words; an address for webhooks is checked when it is called",
    "body.parameters.ignore_labels": "labels of the model at hand",
    "body.prompt_cache_key": "ignored",
    "body.question": "a text",
    "body.response_format.type": "one word",
    "body.safety_identifier": "ignored",
    "body.service_tier": "ignored",
    "body.stop": "a text",
    "body.suffix": "the name of a model to be",
    "body.user": "ignored",
}
_HELLO = {"role": "user", "content": "Hello"}
OF_THE_PATHS_MODEL = {"chat": "the path says which model"}
"""Operations whose body repeats what the path says, and is not asked."""


def bodies(world) -> dict[str, dict[str, Any]]:
    """By operation, a body in which everything is the caller's own."""
    file_id, model = world.arguments["file_id"], world.model_name
    return {
        "anonymize_texts": {"input": "Hello", "model": model},
        "classify_texts": {"input": "Hello", "model": model},
        "tag_texts": {"input": "Hello", "model": model},
        "create_embeddings": {"input": "Hello", "model": DEFAULT_BASE_MODEL},
        "create_chat_completion": {"messages": [_HELLO], "model": model},
        "create_batch": {"input_file_id": file_id, "endpoint": "/v1/classify", "completion_window": "24h"},
        "create_job": {"training_file": file_id, "validation_file": file_id, "model": model},
    }


def test_every_text_that_the_api_reads_has_a_case_or_a_reason(api, neighbours):
    for operation, _, _, place in api_fields(document(api)):
        assert place in API_CASES or place in API_WORDS, f"{operation}: {place}"
        if place in API_CASES and place.startswith("body.") and operation not in OF_THE_PATHS_MODEL:
            assert operation in bodies(neighbours.mine), f"{operation} wants a body in `bodies`"


@pytest.mark.usefixtures("untouched")
def test_to_the_api_another_tenants_object_in_a_field_is_one_that_there_is_not(api, neighbours, headers):
    client = api.test_client()
    tried = set()
    for operation, method, template, place in api_fields(document(api)):
        if place not in API_CASES or operation in OF_THE_PATHS_MODEL:
            continue
        argument = API_CASES[place] or AFTER[operation]
        path = template.format(**neighbours.mine.arguments)
        where, _, name = place.partition(".")
        their_id = neighbours.theirs.arguments[argument]
        first = _sent(where, name, nowhere_like(their_id), operation, neighbours.mine)
        ask(client, method, path, "", headers=headers, **first)  # the first one makes connections, too
        for one, none in zip(spelled(their_id), spelled(nowhere_like(their_id)), strict=True):
            found, expected = (
                ask(
                    client,
                    method,
                    path,
                    value,
                    headers=headers,
                    **_sent(where, name, value, operation, neighbours.mine),
                )
                for value in (one, none)
            )
            told = f"{operation} {place}: {found.status} {found.body}"
            assert found.status in (400, 404), told
            assert "not_found" in found.body or name == "after", told
            assert not difference(found, expected), f"{operation} {place}: {difference(found, expected)}"
        tried.add((operation, place))
    assert len(tried) > 12


def _sent(where: str, name: str, value: object, operation: str, mine) -> dict[str, Any]:
    if where == "body":
        return {"json": with_value(bodies(mine)[operation], name, value)}
    if name == "model":  # of a body that is a table, and has no field for it
        return {"query_string": {name: value}, "data": "text\nHello\n", "content_type": "text/csv"}
    return {"query_string": {name: value}}


def test_a_line_of_a_batch_that_names_another_tenants_model_fails_like_one_that_names_none(
    api, neighbours, headers, answering
):
    answering(Task.CLASSIFICATION)
    client = api.test_client()
    theirs = neighbours.theirs.model_name
    nowhere = str(nowhere_like(theirs))
    lines = [
        {
            "custom_id": str(n),
            "method": "POST",
            "url": "/v1/classify",
            "body": {"model": model, "input": "Hello"},
        }
        for n, model in enumerate((theirs, nowhere))
    ]
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    form = {"purpose": "batch", "file": (io.BytesIO(content), "lines.jsonl")}
    file = client.post("/v1/files", headers=headers, data=form).get_json()
    body = {"input_file_id": file["id"], "endpoint": "/v1/classify", "completion_window": "24h"}
    batch = client.post("/v1/batches", headers=headers, json=body).get_json()
    work_off(Queue.BATCHES)
    batch = client.get(f"/v1/batches/{batch['id']}", headers=headers).get_json()
    assert batch["request_counts"] == {"total": 2, "completed": 0, "failed": 2}
    told = client.get(f"/v1/files/{batch['error_file_id']}/content", headers=headers).get_data(as_text=True)
    errors = [json.loads(line)["response"] for line in told.splitlines()]
    assert [error["status_code"] for error in errors] == [404, 404]
    messages = [error["body"]["error"]["message"] for error in errors]
    assert messages[0].replace(theirs, "<named>") == messages[1].replace(nowhere, "<named>")
