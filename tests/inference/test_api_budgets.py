"""Budgets over the API: caps hold over several processes, and what was not used is given back."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import uuid4

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from sqlalchemy import update

from core.catalogue import DEFAULT_CHAT_MODEL
from core.clock import now
from core.db import operator_session
from core.models.tenants import Tenant
from core.models.usage import UsageSource
from core.waiting import wait_until
from inference.gateway.batches.lines import Batching, Line
from inference.gateway.metering import Asker
from inference.gateway.predict import classify
from inference.gateway.prediction import BudgetExceeded, PaymentMissing
from tests.billing.capped import billed_cents, cap, put_on_plan, reserved
from tests.inference.adapter_files import Reference
from tests.inference.api_process import ApiProcess
from tests.inference.conftest import Caller, publish

A_CENT_EACH = {"unit_amount": Decimal(1)}
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the opposite of hot?"}]


@pytest.fixture
def capped(caller: Caller, support: Reference) -> Caller:
    """An app whose tokens cost a cent each."""
    publish(caller.scope, "support", support)
    put_on_plan(caller.scope, prediction=A_CENT_EACH, chat_input=A_CENT_EACH, chat_output=A_CENT_EACH)
    return caller


@pytest.fixture
def client(api_server: ApiProcess, capped: Caller) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{api_server.url}/v1", api_key=capped.key, max_retries=0) as client:
        yield client


def test_two_processes_together_never_pass_a_cap(api_server: ApiProcess, capped: Caller) -> None:
    cap(capped.scope, 400)

    def ask(number: int) -> int:
        body = {"model": "support", "input": "Where is my parcel? " * (number % 3 + 1)}
        url = f"{api_server.url}/v1/classify"
        return httpx.post(url, json=body, headers=capped.headers, timeout=60).status_code

    with ThreadPoolExecutor(12) as threads:
        statuses = Counter(threads.map(ask, range(120)))
    assert statuses.keys() == {200, 402}
    spent = sum(fact.quantity for fact in capped.facts())
    assert billed_cents(capped.scope) == spent <= 400
    assert reserved(capped.scope) == 0


def test_openais_client_is_told_which_budget_refused_and_where_to_raise_it(
    client: OpenAI, capped: Caller
) -> None:
    cap(capped.scope, 100)
    with pytest.raises(openai.APIStatusError, match="page 'Budgets'") as refused:
        client.chat.completions.create(model=DEFAULT_CHAT_MODEL, messages=QUESTION, max_tokens=500)
    assert refused.value.status_code == 402
    assert (refused.value.code, refused.value.type) == ("budget_exceeded", "billing_error")
    assert capped.facts() == []


def test_a_keys_budget_holds_for_its_requests(client: OpenAI, capped: Caller) -> None:
    cap(capped.scope, 3, capped.key_id)
    with pytest.raises(openai.APIStatusError, match="of this API key") as refused:
        client.embeddings.create(model="all-minilm-l6-v2", input="Where is my parcel?")
    assert refused.value.status_code == 402


def test_a_chat_settles_by_what_it_read_and_wrote(client: OpenAI, capped: Caller) -> None:
    cap(capped.scope, 300)
    for _ in range(2):
        made = client.chat.completions.create(model=DEFAULT_CHAT_MODEL, messages=QUESTION, max_tokens=20)
        assert reserved(capped.scope) == 0
    assert made.usage is not None
    assert billed_cents(capped.scope) == 2 * made.usage.prompt_tokens + sum(
        fact.quantity for fact in capped.facts() if fact.kind == "chat_output"
    )


def test_a_stream_settles_when_its_client_goes_away(client: OpenAI, capped: Caller) -> None:
    cap(capped.scope, 2_500)
    with client.chat.completions.create(
        model=DEFAULT_CHAT_MODEL, messages=QUESTION, max_tokens=2_000, stream=True
    ) as stream:
        next(iter(stream))
        assert reserved(capped.scope) == 1
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model=DEFAULT_CHAT_MODEL, messages=QUESTION, max_tokens=2_000)
        assert refused.value.status_code == 402
    assert wait_until(lambda: reserved(capped.scope) == 0, 60)
    assert billed_cents(capped.scope) == sum(fact.quantity for fact in capped.facts()) < 2_500


def test_a_request_that_fails_gives_its_room_back(capped: Caller) -> None:
    cap(capped.scope, 300)
    for _ in range(3):
        refused = capped.classify("support", "many words " * 300)
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (400, "text_too_long")
    assert reserved(capped.scope) == 0
    assert capped.classify("support", "many words " * 300, truncate=True).status_code == 200


def test_a_repeated_request_with_an_idempotency_key_reserves_nothing(capped: Caller) -> None:
    cap(capped.scope, 30)
    headers = {**capped.headers, "Idempotency-Key": "one"}
    body = {"model": "support", "input": "Where is my parcel?"}
    for _ in range(3):
        response = capped.client.post("/v1/classify", json=body, headers=headers)
        assert response.status_code == 200
    assert len(capped.facts()) == 1
    assert reserved(capped.scope) == 0


def test_a_batchs_line_beyond_the_budget_fails_with_the_reason(capped: Caller) -> None:
    cap(capped.scope, 3)
    batching = Batching(capped.scope, uuid4(), capped.key_id, "/v1/classify")
    line = Line(1, 0, "a", b'{"model": "support", "input": "Where is my parcel?"}')
    answered = batching.answer(line)
    assert answered.failed
    assert b"budget_exceeded" in answered.line


def test_the_playground_keeps_to_the_tenants_budget(capped: Caller) -> None:
    cap(capped.scope, 3)
    with pytest.raises(BudgetExceeded, match="of your tenant"):
        classify(Asker(capped.scope, UsageSource.PLAYGROUND), "support", ["Where is my parcel?"])


def test_an_alert_refuses_nothing(capped: Caller) -> None:
    cap(capped.scope, 0, is_cap=False)
    assert capped.classify("support", "Where is my parcel?").status_code == 200


def suspend(caller: Caller, *, suspended: bool) -> None:
    with operator_session("test") as session:
        statement = update(Tenant).where(Tenant.id == caller.scope.tenant_id)
        session.execute(statement.values(payment_suspended_at=now() if suspended else None))
        session.commit()


def test_while_a_payment_is_missing_keys_are_refused_and_work_at_once_when_it_has_come(
    capped: Caller,
) -> None:
    suspend(capped, suspended=True)
    for refused in (capped.classify("support", "Where is my parcel?"), capped.get("/v1/models")):
        assert refused.status_code == 402
        assert refused.get_json()["error"]["code"] == "payment_required"
        assert "page 'Invoices'" in refused.get_json()["error"]["message"]
    with pytest.raises(PaymentMissing):
        classify(Asker(capped.scope, UsageSource.PLAYGROUND), "support", ["Where is my parcel?"])
    suspend(capped, suspended=False)
    assert capped.classify("support", "Where is my parcel?").status_code == 200
