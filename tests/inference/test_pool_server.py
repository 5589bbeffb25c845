"""The pool as a process: it trusts tickets only, keeps tenants apart, and says no clearly."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import httpx
import pytest
import torch

from tests.inference.adapter_files import Reference
from tests.inference.pool_process import PoolProcess

pytestmark = pytest.mark.xdist_group("pool server")

KEY = "test-ticket-key-" + "k" * 20
TEXTS = ["Where is my order?", "I want my money back", "x"]


@pytest.fixture(scope="module")
def pool() -> Iterator[PoolProcess]:
    process = PoolProcess(key=KEY, POOL_TENANT_QUEUE_TOKENS="2000", POOL_QUEUE_TOKENS="6000")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(["refund", "delivery", "other"], seed=7)


@pytest.fixture(scope="module")
def file(reference: Reference) -> bytes:
    return reference.file()


@pytest.fixture(scope="module")
def digest(pool: PoolProcess, file: bytes) -> str:
    """The digest of an adapter that tenant t1 has in the pool."""
    digest = sha256(file).hexdigest()
    put(pool, "t1", file).raise_for_status()
    return digest


def put(pool: PoolProcess, tenant: str, file: bytes, digest: str = "") -> httpx.Response:
    digest = digest or sha256(file).hexdigest()
    return httpx.put(
        f"{pool.url}/v1/adapters/{digest}", content=file, headers=pool.ticket(tenant, digest), timeout=30
    )


def ask(
    pool: PoolProcess, headers: dict[str, str], texts: object = TEXTS, *, truncate: object = False
) -> httpx.Response:
    body = {"texts": texts, "truncate": truncate}
    return httpx.post(f"{pool.url}/v1/classify", json=body, headers=headers, timeout=30)


def test_scores_are_those_of_the_reference(pool: PoolProcess, reference: Reference, digest: str) -> None:
    answer = ask(pool, pool.ticket("t1", digest)).json()
    scores = [[result["scores"][label] for label in reference.labels] for result in answer["results"]]
    assert float((torch.tensor(scores) - reference.scores(TEXTS)).abs().max()) < 1e-5
    assert answer["tokens"] == [len(ids) for ids in reference.tokenizer(TEXTS)["input_ids"]]
    assert answer["truncated"] == [False, False, False]


def test_an_adapter_that_is_not_in_memory_is_asked_for(pool: PoolProcess, digest: str) -> None:
    response = ask(pool, pool.ticket("t1", "0" * 64))
    assert (response.status_code, response.json()["error"]) == (409, "adapter_needed")


def test_a_tenant_does_not_find_anothers_adapter_in_memory(pool: PoolProcess, digest: str) -> None:
    assert ask(pool, pool.ticket("t2", digest)).status_code == 409


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Ticket": "nonsense"}, {"X-Ticket": "é".encode("latin-1").decode("latin-1")}],
    ids=["none", "nonsense", "not ascii"],
)
def test_without_a_good_ticket_nothing_is_answered(pool: PoolProcess, headers: dict[str, str]) -> None:
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    assert httpx.post(f"{pool.url}/v1/classify", json={}, headers=encoded).status_code == 401
    assert httpx.get(f"{pool.url}/v1/state", headers=encoded).status_code == 401


def test_a_stale_ticket_and_one_for_another_use_are_refused(pool: PoolProcess, digest: str) -> None:
    assert ask(pool, pool.ticket("t1", digest, seconds=-1)).status_code == 401
    assert ask(pool, pool.state()).status_code == 401
    assert httpx.get(f"{pool.url}/v1/state", headers=pool.ticket("t1", digest)).status_code == 401


def test_a_file_that_is_not_the_one_named_is_refused(pool: PoolProcess, file: bytes) -> None:
    response = put(pool, "t1", file[:-1] + b"\x00", sha256(file).hexdigest())
    assert (response.status_code, response.json()["error"]) == (422, "invalid_adapter")
    headers = pool.ticket("t1", "0" * 64)
    assert (
        httpx.put(
            f"{pool.url}/v1/adapters/{sha256(file).hexdigest()}", content=file, headers=headers
        ).status_code
        == 403
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"texts": "a", "truncate": false}', b'{"texts": [], "truncate": false}',
     b'{"texts": [1], "truncate": false}', b'{"texts": ["a"]}', b'{"texts": ["a"], "truncate": 1}',
     b'{"texts": ["\\ud800"], "truncate": false}', b"[" * 100_000],
)  # fmt: skip
def test_a_body_of_another_form_is_refused(pool: PoolProcess, digest: str, body: bytes) -> None:
    response = httpx.post(f"{pool.url}/v1/classify", content=body, headers=pool.ticket("t1", digest))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_body")


def test_a_body_that_is_too_large_is_refused(pool: PoolProcess, digest: str) -> None:
    response = httpx.post(
        f"{pool.url}/v1/classify", content=b" " * (17 << 20), headers=pool.ticket("t1", digest)
    )
    assert response.status_code == 413


def test_a_text_that_is_too_long_is_named_or_cut_when_asked(
    pool: PoolProcess, reference: Reference, digest: str
) -> None:
    texts = ["short", "many words " * 1000]
    response = ask(pool, pool.ticket("t1", digest), texts)
    assert response.status_code == 422
    assert response.json() | {"message": ""} == {
        "error": "text_too_long", "message": "", "index": 1, "tokens": 2002, "max_length": 256,
    }  # fmt: skip
    answer = ask(pool, pool.ticket("t1", digest), texts, truncate=True).json()
    assert (answer["truncated"], answer["tokens"][1]) == ([False, True], 256)
    scores = list(answer["results"][1]["scores"].values())
    assert float((torch.tensor(scores) - reference.scores(texts)[1]).abs().max()) < 1e-5


def test_a_full_queue_says_when_to_come_back_and_others_are_served(
    pool: PoolProcess, file: bytes, digest: str
) -> None:
    put(pool, "t2", file).raise_for_status()
    long_text = "many words " * 100
    statuses: list[httpx.Response] = []
    lock = threading.Lock()

    def flood(_: int) -> None:
        response = ask(pool, pool.ticket("t1", digest), [long_text] * 8)
        with lock:
            statuses.append(response)

    with ThreadPoolExecutor(8) as threads:
        flooding = [threads.submit(flood, i) for i in range(8)]
        other = ask(pool, pool.ticket("t2", digest), ["a question of another tenant"])
        for done in flooding:
            done.result()
    assert other.status_code == 200
    refused = [response for response in statuses if response.status_code != 200]
    assert refused
    assert {response.status_code for response in refused} <= {429, 503}
    assert all(1 <= int(response.headers["Retry-After"]) <= 30 for response in refused)


def test_work_past_its_tickets_end_is_dropped(pool: PoolProcess, file: bytes, digest: str) -> None:
    put(pool, "t2", file).raise_for_status()
    text = "many words " * 100
    with ThreadPoolExecutor(2) as threads:
        # About 1,800 tokens of each tenant take longer than the second ticket lives.
        first = threads.submit(ask, pool, pool.ticket("t1", digest), [text] * 9)
        late = threads.submit(ask, pool, pool.ticket("t2", digest, seconds=0.1), [text] * 9)
        assert first.result().status_code == 200
        assert late.result().status_code in (401, 504)


def test_an_adapter_of_nan_is_an_error_of_its_own_tenant(
    pool: PoolProcess, reference: Reference, digest: str
) -> None:
    broken = reference.file({"head.bias": torch.full((3,), float("nan"))})
    put(pool, "t3", broken).raise_for_status()
    with ThreadPoolExecutor(8) as threads:
        bad = [threads.submit(ask, pool, pool.ticket("t3", sha256(broken).hexdigest())) for _ in range(4)]
        good = [threads.submit(ask, pool, pool.ticket("t1", digest)) for _ in range(4)]
        assert {call.result().json()["error"] for call in bad} == {"adapter_broken"}
        assert {call.result().status_code for call in good} == {200}


def test_the_state_and_the_metrics_tell_what_is_there_and_name_no_tenant_openly(
    pool: PoolProcess, digest: str
) -> None:
    ask(pool, pool.ticket("t1", digest))
    state = httpx.get(f"{pool.url}/v1/state", headers=pool.state()).json()
    assert {"tenant": "t1", "adapter": digest}.items() <= state["adapters"][-1].items()
    assert 0 < state["adapter_bytes"] <= state["adapter_budget_bytes"]
    metrics = httpx.get(f"{pool.url}/metrics").text
    assert 'pool_requests_total{outcome="ok",tier="standard"}' in metrics
    assert "t1" not in metrics
    assert digest not in metrics
