"""Chats over HTTP, against a real pool process: streamed, tenant by tenant, and a client that goes away is gone."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from core.waiting import wait_until
from inference.pool.chat.prompts import Prompts
from tests.inference.chat.references import REAL, ChatReference
from tests.inference.pool_process import PoolProcess

pytestmark = pytest.mark.xdist_group("chat server")

KEY = "test-ticket-key-" + "k" * 20
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
FOREVER: dict[str, Any] = {"max_tokens": 1900, "temperature": 2, "frequency_penalty": -2, "seed": 1}
"""An answer that takes minutes: too hot to come to an end."""


@pytest.fixture(scope="module")
def pool() -> Iterator[PoolProcess]:
    process = PoolProcess(
        key=KEY,
        POOL_BASE_MODELS=f"all-minilm-l6-v2,{REAL.id}",
        POOL_CHAT_ROWS="4",
        POOL_CHAT_KV_TOKENS="6000",
        POOL_TENANT_QUEUE_TOKENS="4000",
    )
    yield process
    process.stop()


@pytest.fixture(scope="module")
def tuned() -> ChatReference:
    return ChatReference(
        REAL.folder(),
        base_id=REAL.id,
        base_digest=REAL.sha256,
        targets=("q_proj", "v_proj"),
        layers=range(20, 30),
        strength=0.02,
    )


@pytest.fixture(scope="module")
def prompt() -> list[int]:
    return Prompts.load(REAL.id).encode(QUESTION)


def ask(pool: PoolProcess, tenant: str = "t1", adapter: str = "", **fields: Any) -> httpx.Response:
    headers = pool.ticket(
        tenant, adapter, base=fields.pop("base", REAL.id), seconds=fields.pop("seconds", 20)
    )
    body = {"messages": QUESTION, "max_tokens": 8, "temperature": 0, **fields}
    return httpx.post(f"{pool.url}/v1/chat", json=body, headers=headers, timeout=60)


def put(pool: PoolProcess, tenant: str, file: bytes) -> httpx.Response:
    digest = sha256(file).hexdigest()
    headers = pool.ticket(tenant, digest, base=REAL.id)
    return httpx.put(f"{pool.url}/v1/adapters/{digest}", content=file, headers=headers, timeout=30)


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def text_of(response: httpx.Response) -> str:
    return "".join(line.get("delta", "") for line in lines(response))


def chat_state(pool: PoolProcess) -> dict[str, Any]:
    state = httpx.get(f"{pool.url}/v1/state", headers=pool.state()).json()
    return {**state["chat"], "queued": state["queued_tokens"]}


def begin_forever(pool: PoolProcess, tenant: str) -> httpx.Response:
    """A streamed answer that has begun and goes on until it is closed."""
    headers = pool.ticket(tenant, "", base=REAL.id)
    client = httpx.Client(timeout=60)
    asked = client.build_request(
        "POST", f"{pool.url}/v1/chat", json={"messages": QUESTION, **FOREVER}, headers=headers
    )
    response = client.send(asked, stream=True)
    assert response.status_code == 200
    return response


def test_an_answer_is_streamed_and_says_how_long_it_is(pool: PoolProcess, prompt: list[int]) -> None:
    response = ask(pool, max_tokens=20)
    assert response.headers["content-type"] == "application/x-ndjson"
    first, *deltas, last = lines(response)
    assert first == {"prompt_tokens": len(prompt)}
    assert "".join(line["delta"] for line in deltas) == "The capital of France is Paris."
    assert len(deltas) > 3
    counts = [line["completion_tokens"] for line in deltas]
    assert counts == sorted(counts)
    assert counts[-1] <= last["completion_tokens"]
    assert last == {"finish_reason": "stop", "prompt_tokens": len(prompt), "completion_tokens": 8}


def test_an_adapter_is_asked_for_once_and_answers_as_generate_does(
    pool: PoolProcess, tuned: ChatReference, prompt: list[int]
) -> None:
    file = tuned.file()
    digest = sha256(file).hexdigest()
    missing = ask(pool, adapter=digest)
    assert (missing.status_code, missing.json()["error"]) == (409, "adapter_needed")
    assert put(pool, "t1", file).status_code == 204
    assert text_of(ask(pool, adapter=digest)) == tuned.decode(tuned.greedy(prompt, 8))
    assert ask(pool, tenant="t2", adapter=digest).status_code == 409
    state = httpx.get(f"{pool.url}/v1/state", headers=pool.state()).json()
    assert {"tenant": "t1", "adapter": digest, "base": REAL.id}.items() <= state["adapters"][-1].items()


def test_an_adapter_of_nan_is_an_error_of_its_own_tenant(pool: PoolProcess, tuned: ChatReference) -> None:
    name = "model.layers.20.self_attn.q_proj.lora_B.weight"
    name = next(key for key in tuned.tensors() if key.endswith(name))
    broken = tuned.file({name: torch.full_like(tuned.tensors()[name], float("nan"))})
    put(pool, "t3", broken).raise_for_status()
    with ThreadPoolExecutor(4) as threads:
        good = threads.submit(ask, pool)
        bad = threads.submit(ask, pool, "t3", sha256(broken).hexdigest())
        assert (bad.result().status_code, bad.result().json()["error"]) == (422, "adapter_broken")
        assert text_of(good.result()) == "The capital of France is Paris."


def test_a_file_of_another_base_is_refused(pool: PoolProcess, tuned: ChatReference) -> None:
    response = put(pool, "t1", tuned.file(base_digest="0" * 64))
    assert (response.status_code, response.json()["error"]) == (422, "invalid_adapter")


def test_a_client_that_goes_away_frees_its_slot(pool: PoolProcess) -> None:
    answers = [begin_forever(pool, "t1") for _ in range(2)]
    assert chat_state(pool)["rows"] == 2
    for answer in answers:
        answer.close()
    wait_until(lambda: chat_state(pool) == {"rows": 0, "kv_tokens": 0, "queued": 0}, 20)


def test_a_client_that_goes_away_while_it_waits_leaves_the_queue(pool: PoolProcess) -> None:
    # A third would not leave a quarter of the memory free, so it waits.
    answers = [begin_forever(pool, "t1") for _ in range(2)]
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{pool.url}/v1/chat",
            json={"messages": QUESTION, **FOREVER},
            headers=pool.ticket("t1", "", base=REAL.id),
            timeout=1,
        )
    # Another tenant's request starts at once all the same.
    assert text_of(ask(pool, tenant="t2")) == "The capital of France is Paris."
    for answer in answers:
        answer.close()
    wait_until(lambda: chat_state(pool) == {"rows": 0, "kv_tokens": 0, "queued": 0}, 20)


def test_a_full_queue_says_when_to_come_back_and_a_late_request_is_dropped(pool: PoolProcess) -> None:
    answers = [begin_forever(pool, "t1") for _ in range(2)]
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(ask, pool, seconds=1.5, **FOREVER) for _ in range(4)]
        responses = [each.result() for each in waiting]
    assert {response.status_code for response in responses} == {429, 504}
    assert all(1 <= int(r.headers["Retry-After"]) <= 30 for r in responses if r.status_code == 429)
    for answer in answers:
        answer.close()


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"messages": [{"role": "user", "content": "hi " * 3000}]}, 422, "prompt_too_long"),
        ({"base": "all-minilm-l6-v2"}, 422, "wrong_base"),
        ({"seconds": -1}, 401, "invalid_ticket"),
        ({"messages": []}, 400, "invalid_body"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_body"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, 400, "invalid_body"),
        ({"messages": [{"role": "user"}]}, 400, "invalid_body"),
        ({"max_tokens": 0}, 400, "invalid_body"),
        ({"temperature": 3}, 400, "invalid_body"),
        ({"top_p": "all"}, 400, "invalid_body"),
        ({"seed": 1 << 64}, 400, "invalid_body"),
        ({"stop": [""]}, 400, "invalid_body"),
        ({"stop": ["x"] * 17}, 400, "invalid_body"),
        ({"presence_penalty": float("inf")}, 400, "invalid_body"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_code(
    pool: PoolProcess, fields: dict[str, Any], status: int, code: str
) -> None:
    # Python's own JSON has numbers that are none, and half characters.
    headers = pool.ticket("t1", "", base=fields.pop("base", REAL.id), seconds=fields.pop("seconds", 20))
    content = json.dumps({"messages": QUESTION, **fields})
    response = httpx.post(f"{pool.url}/v1/chat", content=content, headers=headers)
    assert (response.status_code, response.json()["error"]) == (status, code)
    if code == "prompt_too_long":
        assert response.json().items() >= {"tokens": 3031, "max_length": 2048}.items()


def test_an_engine_that_dies_is_started_again(pool: PoolProcess) -> None:
    answer = begin_forever(pool, "t1")
    os.kill(chat_engine(pool), signal.SIGKILL)
    last = list(answer.iter_lines())[-1]
    assert json.loads(last)["error"] == "engine_failed"
    wait_until(lambda: httpx.get(f"{pool.url}/readyz").status_code == 200, 60)
    assert text_of(ask(pool)) == "The capital of France is Paris."


def test_the_engine_holds_no_key_and_ends_with_the_pool(pool: PoolProcess) -> None:
    engine = chat_engine(pool)
    environ = Path(f"/proc/{engine}/environ").read_text()
    assert KEY not in environ
    pool.kill()
    wait_until(lambda: not Path(f"/proc/{engine}").exists(), 10)


def chat_engine(pool: PoolProcess) -> int:
    """The id of the pool's child that runs the chat engine."""
    children = Path(f"/proc/{pool.process.pid}/task/{pool.process.pid}/children").read_text().split()
    return next(
        int(child)
        for child in children
        if "inference.pool.chat" in Path(f"/proc/{child}/cmdline").read_text()
    )
