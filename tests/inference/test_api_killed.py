"""Whatever moment the API dies at, what it acknowledged is in the ledger, once."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from core.waiting import wait_until
from tests.inference.adapter_files import Reference
from tests.inference.api_process import THREADS, ApiProcess
from tests.inference.conftest import Caller, publish
from tests.inference.pool_process import PoolProcess

ACKNOWLEDGED_BEFORE_EACH_KILL = 60
KILLS = 2


@pytest.fixture
def api_process(shared_pool: PoolProcess) -> Iterator[ApiProcess]:
    process = ApiProcess()
    yield process
    process.kill()


class Load:
    """Threads that ask without pause, and note what was acknowledged: request id and tokens."""

    def __init__(self, url: str, caller: Caller) -> None:
        self.acknowledged: dict[str, int] = {}
        self.answered = 0
        self.failed = 0
        self.refused: list[str] = []
        self._url = url
        self._headers = caller.headers
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        asked = 0
        while not self._done.is_set():
            asked += 1
            body = {"model": "support", "input": [f"Where is my order {number} {asked}?"] * (asked % 3 + 1)}
            try:
                response = httpx.post(
                    f"{self._url}/v1/classify", json=body, headers=self._headers, timeout=30
                )
            except httpx.TransportError:
                with self._lock:
                    self.failed += 1
                continue
            with self._lock:
                if response.status_code != 200:
                    self.refused.append(response.text)
                    return
                answer = response.json()
                self.acknowledged[answer["request_id"]] = answer["usage"]["tokens"]
                self.answered += 1

    def wait_for(self, acknowledged: int) -> None:
        assert wait_until(lambda: len(self.acknowledged) >= acknowledged, 60)

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


def test_killing_the_api_under_load_loses_no_acknowledged_usage_and_doubles_none(
    api_process: ApiProcess, caller: Caller, support: Reference
) -> None:
    publish(caller.scope, "support", support)
    load = Load(api_process.url, caller)
    try:
        for kill in range(1, KILLS + 1):
            load.wait_for(kill * ACKNOWLEDGED_BEFORE_EACH_KILL)
            api_process.kill()
            api_process.start()
        load.wait_for(len(load.acknowledged) + THREADS)
    finally:
        load.stop()
    facts = caller.facts()
    recorded = {fact.request_id: fact.quantity for fact in facts}
    assert load.refused == []
    assert load.answered == len(load.acknowledged)
    assert len(recorded) == len(facts)
    assert {request_id: recorded.get(request_id) for request_id in load.acknowledged} == load.acknowledged
    assert load.failed > 0
    # Each thread had one request in flight at each kill, which may have been recorded and not acknowledged.
    assert len(recorded) - len(load.acknowledged) <= KILLS * THREADS
