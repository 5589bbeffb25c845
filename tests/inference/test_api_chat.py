"""Chats over the API with the clients that people have: openai and huggingface_hub, unmodified, over real connections."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from huggingface_hub import InferenceClient
from openai import OpenAI
from sqlalchemy import update

from core.catalogue import DEFAULT_BASE_MODEL, DEFAULT_CHAT_MODEL, Task
from core.db import tenant_session
from core.models.api_keys import ApiKey
from core.models.usage import UsageFact, UsageKind, UsageSource
from core.privacy.policies import change_policy
from core.waiting import wait_until
from tests.inference.adapter_files import Reference
from tests.inference.api_process import ApiProcess
from tests.inference.chat_files import ChatReference
from tests.inference.conftest import Caller, publish
from tests.inference.pool_process import PoolProcess

# Without a name or a place in it: those are replaced.
QUESTION = [{"role": "user", "content": "What is the opposite of hot? Answer in one sentence."}]
STORY = [{"role": "user", "content": "Write a very long story about the sea."}]
SECONDS = 30


@pytest.fixture
def client(api_server: ApiProcess, caller: Caller) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{api_server.url}/v1", api_key=caller.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def faq() -> ChatReference:
    return ChatReference(seed=5, scale=0.15)


def facts(caller: Caller) -> dict[UsageKind, UsageFact]:
    found = caller.facts()
    by_kind = {fact.kind: fact for fact in found}
    assert len(by_kind) == len(found)
    return by_kind


def answer(client: OpenAI, model: str = DEFAULT_CHAT_MODEL, **fields: Any) -> Any:
    settings = {"messages": QUESTION, "temperature": 0, "max_tokens": 12, **fields}
    return client.chat.completions.create(model=model, **settings)


def test_a_chat_is_answered_by_the_tenants_adapter_and_leaves_two_facts(
    client: OpenAI, caller: Caller, faq: ChatReference
) -> None:
    adapter = publish(caller.scope, "faq", faq)
    made = answer(client, "faq")
    assert (made.object, made.model, len(made.choices)) == ("chat.completion", "faq", 1)
    assert made.choices[0].message.role == "assistant"
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens
    found = facts(caller)
    assert found.keys() == {UsageKind.CHAT_INPUT, UsageKind.CHAT_OUTPUT}
    read, written = found[UsageKind.CHAT_INPUT], found[UsageKind.CHAT_OUTPUT]
    assert (read.quantity, read.inputs) == (made.usage.prompt_tokens, 1)
    assert (written.quantity, written.inputs) == (made.usage.completion_tokens, 0)
    for fact in (read, written):
        assert fact.request_id == f"req_{made.id.removeprefix('chatcmpl-')}" == made._request_id
        assert (fact.source, fact.adapter_id, fact.api_key_id) == (
            UsageSource.API,
            adapter.id,
            caller.key_id,
        )
    assert answer(client, DEFAULT_CHAT_MODEL).choices[0].message.content != made.choices[0].message.content


def test_a_base_model_answers_by_its_id(client: OpenAI, caller: Caller) -> None:
    assert "cold" in answer(client).choices[0].message.content
    assert {fact.model_id for fact in caller.facts()} == {None}


def test_a_stream_says_the_same_and_is_in_the_ledger_when_it_ends(client: OpenAI, caller: Caller) -> None:
    whole = answer(client)
    before = len(caller.facts())
    chunks = list(answer(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(one.choices[0].delta.content or "" for one in chunks[:-1]) == (
        whole.choices[0].message.content
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert len({chunk.id for chunk in chunks}) == 1
    streamed = [fact.quantity for fact in caller.facts()[before:]]
    assert sorted(streamed) == sorted([whole.usage.prompt_tokens, whole.usage.completion_tokens])


def test_what_was_read_is_in_the_ledger_before_the_first_piece(client: OpenAI, caller: Caller) -> None:
    with answer(client, messages=STORY, max_tokens=200, stream=True) as stream:
        next(stream)
        assert UsageKind.CHAT_INPUT in facts(caller)


def test_a_client_that_goes_away_pays_for_the_tokens_made_and_no_more(client: OpenAI, caller: Caller) -> None:
    limit = 1500
    with answer(client, messages=STORY, max_tokens=limit, stream=True) as stream:
        for _ in range(3):
            next(stream)
    assert wait_until(lambda: UsageKind.CHAT_OUTPUT in facts(caller), SECONDS)
    assert 1 <= facts(caller)[UsageKind.CHAT_OUTPUT].quantity < limit / 2


def test_a_client_that_leaves_before_a_whole_answer_frees_its_slot_and_pays_nothing(
    api_server: ApiProcess, whole_pool: PoolProcess, caller: Caller
) -> None:
    body = json.dumps({"model": DEFAULT_CHAT_MODEL, "messages": STORY, "max_tokens": 1500}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {caller.key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", api_server.port)) as client:
        client.sendall(head.encode() + body)
        assert wait_until(lambda: whole_pool.look()["chat"]["rows"] == 1, SECONDS)
    assert wait_until(lambda: whole_pool.look()["chat"]["rows"] == 0, SECONDS)
    assert caller.facts() == []


def test_a_stop_string_ends_the_answer_before_it(client: OpenAI) -> None:
    made = answer(client, stop="cold")
    assert (made.choices[0].finish_reason, "cold" in made.choices[0].message.content) == ("stop", False)


def test_the_same_seed_says_the_same(client: OpenAI) -> None:
    said = {answer(client, temperature=1.0, seed=7).choices[0].message.content for _ in range(2)}
    assert len(said) == 1


def test_messages_may_come_in_parts_and_from_a_developer(client: OpenAI) -> None:
    parts = [
        {"type": "text", "text": text}
        for text in ("What is the opposite of hot? ", "Answer in one sentence.")
    ]
    system = {"content": "You are a teacher."}
    one = answer(client, messages=[{"role": "developer", **system}, {"role": "user", "content": parts}])
    two = answer(client, messages=[{"role": "system", **system}, *QUESTION])
    assert one.choices[0].message.content == two.choices[0].message.content


JANE = "jane.roe@example.com"


def test_personal_data_is_replaced_before_the_model_reads_it(client: OpenAI) -> None:
    said = [
        answer(client, messages=[{"role": "user", "content": f"Who is {who}?"}])
        for who in (JANE, "a-much-longer-address-of-another-person@mail.example.org")
    ]
    assert said[0].usage == said[1].usage


def test_the_answer_has_the_value_that_the_model_never_saw_whole_and_in_a_stream(
    client: OpenAI, caller: Caller
) -> None:
    asked: dict[str, Any] = {
        "messages": [
            {"role": "user", "content": "Repeat: Call us at noon."},
            {"role": "assistant", "content": "Call us at noon."},
            {"role": "user", "content": f"Repeat: Write to {JANE} today."},
        ],
        "max_tokens": 40,
    }
    whole = answer(client, **asked).choices[0].message.content
    assert JANE in whole
    chunks = list(answer(client, stream=True, **asked))
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == whole
    with tenant_session(caller.scope) as session:
        change_policy(
            session,
            caller.scope,
            entities=["EMAIL_ADDRESS"],
            operators={"EMAIL_ADDRESS": "hash"},
        )
        session.commit()
    assert JANE not in answer(client, **asked).choices[0].message.content


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "Tools are not supported"),
        ({"logprobs": True}, "'logprobs' is wrong"),
        ({"n": 2}, "'n' is wrong: must be 1"),
        ({"response_format": {"type": "json_object"}}, "JSON and schemas are not supported"),
        ({"messages": []}, "Send 1 to 256 messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "no message of the user's"),
        ({"messages": [{"role": "tool", "content": "a", "tool_call_id": "1"}]}, "'messages.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "images, audio and files are not supported",
        ),
        ({"messages": [{"role": "user", "content": "word " * 2500}]}, "Leave out the oldest messages"),
        ({"temperature": 3}, "'temperature' is wrong"),
        ({"stop": ["a"] * 5}, "'stop' is wrong"),
        ({"model": DEFAULT_BASE_MODEL}, "cannot do this"),
        ({"extra_body": {"colour": "red"}}, "'colour' is not a field"),
    ],
)
def test_what_cannot_be_done_is_a_bad_request_with_the_reason(
    client: OpenAI, caller: Caller, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        answer(client, **fields)
    assert caller.facts() == []


def test_errors_are_openais_classes(client: OpenAI, caller: Caller, support: Reference) -> None:
    with pytest.raises(openai.NotFoundError) as not_found:
        answer(client, "nothing")
    assert (not_found.value.code, not_found.value.param) == ("model_not_found", "model")
    assert not_found.value.request_id == not_found.value.body["request_id"]  # type: ignore[index]
    with pytest.raises(openai.AuthenticationError):
        answer(client.with_options(api_key="ad_live_nonsense"))
    publish(caller.scope, "broken", support, b"not an adapter")
    with pytest.raises(openai.InternalServerError):
        client.post("/classify", body={"model": "broken", "input": "a"}, cast_to=object)


def test_vectors_come_as_openais_client_asks_for_them(client: OpenAI) -> None:
    texts = ["Where is my order?", "I want my money back"]
    made = client.embeddings.create(model=DEFAULT_BASE_MODEL, input=texts)
    plain = client.embeddings.create(model=DEFAULT_BASE_MODEL, input=texts, encoding_format="float")
    for one, two in zip(made.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(two.embedding, abs=1e-6)
        assert len(one.embedding) == 384
    assert made.usage == plain.usage


def test_hugging_faces_client_is_answered_at_each_models_address(
    api_server: ApiProcess, caller: Caller, support: Reference, faq: ChatReference
) -> None:
    topics = Reference(["a", "b", "c"], seed=2, task=Task.MULTI_LABEL)
    tagger = Reference(["O", "B-X", "I-X"], seed=3, task=Task.TAGGING)
    models: dict[str, Reference | ChatReference] = {
        "support": support,
        "topics": topics,
        "tagger": tagger,
        "faq": faq,
    }
    for name, reference in models.items():
        publish(caller.scope, name, reference)

    def model(name: str) -> InferenceClient:
        return InferenceClient(model=f"{api_server.url}/hf/{name}", token=caller.key)

    text = "Ada Lovelace wrote to jane.roe@example.com"
    labels = model("support").text_classification(text)
    expected = caller.classify("support", text).get_json()["results"][0]["scores"]
    assert [(one.label, round(one.score, 6)) for one in labels] == [
        (one["label"], one["score"]) for one in expected
    ]
    assert len(model("topics").text_classification(text, top_k=2)) == 2
    entities = model("tagger").token_classification(text)
    assert entities
    assert all(one.word == text[one.start : one.end] and one.entity_group == "X" for one in entities)
    chat = model("faq")
    said = chat.chat_completion(QUESTION, max_tokens=8, temperature=0)
    streamed = chat.chat_completion(QUESTION, max_tokens=8, temperature=0, stream=True)
    assert said.choices[0].message.content
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == (
        said.choices[0].message.content
    )


def predict(api_server: ApiProcess, caller: Caller, body: object) -> httpx.Response:
    return httpx.post(f"{api_server.url}/predict", json=body, headers=caller.headers, timeout=SECONDS)


def test_a_question_is_answered_by_the_keys_default_model(api_server: ApiProcess, caller: Caller) -> None:
    question = {"question": QUESTION[0]["content"]}
    none = predict(api_server, caller, question)
    assert (none.status_code, none.json()["error"]["code"]) == (400, "no_default_model")
    # Adapters that change little, or the answer would be long.
    only = publish(caller.scope, "faq", ChatReference(seed=6, scale=0.01))
    answered = predict(api_server, caller, question)
    assert (answered.status_code, answered.json().keys()) == (200, {"answer"})
    assert "cold" in answered.json()["answer"]
    other = publish(caller.scope, "other", ChatReference(seed=7, scale=0.01))
    assert "more than one chat model" in predict(api_server, caller, question).text
    with tenant_session(caller.scope) as session:
        session.execute(update(ApiKey).values(default_model_id=other.model_id))
        session.commit()
    assert predict(api_server, caller, question).status_code == 200
    assert [fact.adapter_id for fact in caller.facts()] == [only.id] * 2 + [other.id] * 2
    assert predict(api_server, caller, {"query": "a"}).json()["error"]["param"] == "question"


def test_a_stream_takes_no_idempotency_key_and_a_whole_answer_does(client: OpenAI, caller: Caller) -> None:
    key = {"Idempotency-Key": "chat-1"}
    with pytest.raises(openai.BadRequestError, match="cannot be answered from a record"):
        answer(client, stream=True, extra_headers=key)
    one, two = (answer(client, temperature=1.0, extra_headers=key) for _ in range(2))
    assert one == two
    assert len(caller.facts()) == 2


def test_events_are_as_the_standard_writes_them(api_server: ApiProcess, caller: Caller) -> None:
    body = {"model": DEFAULT_CHAT_MODEL, "messages": QUESTION, "max_tokens": 2, "stream": True}
    response = httpx.post(
        f"{api_server.url}/v1/chat/completions", json=body, headers=caller.headers, timeout=SECONDS
    )
    assert response.headers["Content-Type"].startswith("text/event-stream")
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(event.removeprefix("data: "))["choices"] for event in events[:-2])
