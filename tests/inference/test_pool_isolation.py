"""One request cannot hurt another's, and leaves nothing behind. An engine is frozen where a test needs it to be busy."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import torch

from core.waiting import wait_until
from tests.inference.adapter_files import Reference
from tests.inference.pool_process import PoolProcess

pytestmark = pytest.mark.xdist_group("pool isolation")

KEY = "test-ticket-key-" + "k" * 20
SECRET_TEXT = "Xylophone-Quartz has a rash"
SECONDS = 30


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pool") / "pool.log"


@pytest.fixture(scope="module")
def pool(log: Path) -> Iterator[PoolProcess]:
    process = PoolProcess(key=KEY, log=log, LOG_LEVEL="DEBUG", POOL_TENANT_QUEUE_TOKENS="2000")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(["refund", "delivery", "other"], seed=7)


@pytest.fixture(scope="module")
def digest(pool: PoolProcess, reference: Reference) -> str:
    """An adapter that tenants t1 and t2 have in the pool."""
    file = reference.file()
    pool.put("t2", file)
    return pool.put("t1", file)


def engine(pool: PoolProcess) -> int:
    [pid] = pool.look()["engines"]
    return int(pid)


@contextmanager
def frozen_engine(pool: PoolProcess, digest: str) -> Iterator[tuple[int, "Future[httpx.Response]"]]:
    """The engine's process, stopped while it holds a batch: one text of t1, whose answer comes in the end."""
    with ThreadPoolExecutor(1) as thread:
        pid = engine(pool)
        os.kill(pid, signal.SIGSTOP)
        held = thread.submit(pool.ask, "classify", "t1", digest, ["held"])
        try:
            assert wait_until(lambda: pool.look()["running_tokens"] > 0, SECONDS)
            yield pid, held
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        assert held.result().status_code == 200


def test_an_engine_that_is_killed_is_replaced_and_no_request_notices(
    pool: PoolProcess, reference: Reference, digest: str
) -> None:
    texts = [f"Where is order {number}?" for number in range(12)]
    expected = reference.scores(texts)
    with ThreadPoolExecutor(len(texts)) as threads:
        pid = engine(pool)
        os.kill(pid, signal.SIGSTOP)
        tenants = ["t1", "t2"] * 6
        calls = [
            threads.submit(pool.ask, "classify", tenant, digest, [text])
            for tenant, text in zip(tenants, texts, strict=True)
        ]
        assert wait_until(lambda: set(pool.look()["queues"]) == {"t1", "t2"}, SECONDS)
        os.kill(pid, signal.SIGKILL)
        for call, scores in zip(calls, expected, strict=True):
            response = call.result()
            assert response.status_code == 200, response.text
            [result] = response.json()["results"]
            assert float((torch.tensor(list(result["scores"].values())) - scores).abs().max()) < 1e-5
    assert engine(pool) != pid
    assert "pool_engine_deaths_total 1.0" in httpx.get(f"{pool.url}/metrics").text


def test_rows_of_a_client_that_has_gone_are_not_run(pool: PoolProcess, digest: str) -> None:
    with frozen_engine(pool, digest) as (_, held):
        body = b'{"texts": ["nobody waits for this"], "truncate": false}'
        ticket = pool.ticket("t2", digest)["X-Ticket"]
        head = f"POST /v1/classify HTTP/1.1\r\nHost: pool\r\nX-Ticket: {ticket}\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection(("127.0.0.1", pool.port)) as client:
            client.sendall(head.encode() + b"\r\n" + body)
            assert wait_until(lambda: "t2" in pool.look()["queues"], SECONDS)
        assert wait_until(lambda: "t2" not in pool.look()["queues"], SECONDS)
        assert pool.look()["queued_tokens"] == 0
        assert not held.done()
    assert 'outcome="client_gone"' in httpx.get(f"{pool.url}/metrics").text


def test_a_flood_is_refused_before_its_bodies_are_read(pool: PoolProcess, digest: str) -> None:
    long = ["many words " * 120]
    with ThreadPoolExecutor(1) as thread, frozen_engine(pool, digest):
        waiting = thread.submit(pool.ask, "classify", "t1", digest, long * 8)
        assert wait_until(lambda: "t1" in pool.look()["queues"], SECONDS)
        assert pool.ask("classify", "t1", digest, long).status_code == 429
        assert pool.ask("classify", "t1", digest, ["x" * 4_000_000]).status_code == 429
        refused, other = (pool.ask("classify", tenant, digest, []) for tenant in ("t1", "t2"))
        assert (refused.status_code, refused.json()["error"]) == (429, "tenant_queue_full")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (other.status_code, other.json()["error"]) == (400, "invalid_body")
    assert waiting.result().status_code == 200


def test_a_huge_text_does_not_hold_up_another_tenant(pool: PoolProcess, digest: str) -> None:
    with ThreadPoolExecutor(1) as thread:
        huge = thread.submit(pool.ask, "classify", "t1", digest, ["word " * 200_000], truncate=True)
        assert pool.ask("classify", "t2", digest, ["a short one"]).status_code == 200
        assert not huge.done()
        assert huge.result().json()["tokens"] == [256]


def test_too_many_texts_at_once_are_refused(pool: PoolProcess, digest: str) -> None:
    response = pool.ask("classify", "t1", digest, ["x"] * 5000)
    assert (response.status_code, response.json()["error"]) == (413, "too_large")


def test_an_engine_that_cannot_run_a_row_still_runs_the_neighbours(
    pool: PoolProcess, reference: Reference, digest: str
) -> None:
    broken = reference.file({"head.bias": torch.full((3,), float("nan"))})
    broken_digest = pool.put("t3", broken)
    with ThreadPoolExecutor(2) as threads, frozen_engine(pool, digest):
        bad = threads.submit(pool.ask, "classify", "t3", broken_digest, ["x"])
        good = threads.submit(pool.ask, "classify", "t2", digest, ["x"])
        assert wait_until(lambda: set(pool.look()["queues"]) == {"t2", "t3"}, SECONDS)
    assert bad.result().json()["error"] == "adapter_broken"
    scores = list(good.result().json()["results"][0]["scores"].values())
    assert float((torch.tensor(scores) - reference.scores(["x"])[0]).abs().max()) < 1e-5


def test_engines_hold_no_ticket_key(pool: PoolProcess) -> None:
    environ = Path(f"/proc/{engine(pool)}/environ").read_bytes()
    assert b"PATH=" in environ
    assert KEY.encode() not in environ


def test_engines_end_with_their_pool(reference: Reference) -> None:
    other = PoolProcess(key=KEY)
    pid = engine(other)
    os.kill(pid, signal.SIGSTOP)
    other.kill()
    assert wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not is_engine(pid), SECONDS)


def is_engine(pid: int) -> bool:
    return b"engine_process" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_no_text_is_logged(pool: PoolProcess, reference: Reference, digest: str, log: Path) -> None:
    broken = pool.put("t3", reference.file({"head.bias": torch.full((3,), float("nan"))}))
    statuses = [
        pool.ask("classify", "t1", digest, [SECRET_TEXT]).status_code,
        pool.ask("classify", "t1", digest, [SECRET_TEXT * 500]).status_code,
        pool.ask("classify", "t3", broken, [SECRET_TEXT]).status_code,
        pool.ask("tag", "t1", digest, [SECRET_TEXT]).status_code,
        pool.ask("classify", "t1", sha256(b"").hexdigest(), [SECRET_TEXT]).status_code,
        httpx.post(
            f"{pool.url}/v1/classify", content=SECRET_TEXT, headers=pool.ticket("t1", digest)
        ).status_code,
    ]
    with frozen_engine(pool, digest) as (pid, _), ThreadPoolExecutor(1) as thread:
        killed = thread.submit(pool.ask, "classify", "t2", digest, [SECRET_TEXT])
        assert wait_until(lambda: "t2" in pool.look()["queues"], SECONDS)
        os.kill(pid, signal.SIGKILL)
        statuses.append(killed.result().status_code)
    assert statuses == [200, 422, 422, 422, 409, 400, 200]
    written = log.read_text()
    assert '"answered"' in written
    assert "engine_died" in written
    assert "xylophone" not in written.lower()
