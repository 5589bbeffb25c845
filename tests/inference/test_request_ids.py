"""One request's id, from its answer back through the gateway's log, the pool's and the ledger."""

import json
from pathlib import Path
from typing import Any

import httpx

from core.config import get_settings
from core.waiting import wait_until
from tests.inference.adapter_files import Reference
from tests.inference.api_process import ApiProcess
from tests.inference.conftest import Caller, publish
from tests.inference.pool_process import PoolProcess

TEXT = "Where is the parcel that nobody else asks about?"
SECONDS = 10


def lines(log: Path, event: str) -> list[dict[str, Any]]:
    """What a process logged of `event`."""
    found = [line for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, found) if line["event"] == event]


def test_a_request_has_one_id_in_its_answer_both_logs_and_the_ledger(
    tmp_path: Path, caller: Caller, support: Reference
) -> None:
    publish(caller.scope, "support", support)
    api_log, pool_log = tmp_path / "api", tmp_path / "pool"
    pool = PoolProcess(key=get_settings().pool_ticket_key, log=pool_log, LOG_LEVEL="INFO")
    api = ApiProcess(log=api_log, POOL_URL=pool.url, LOG_LEVEL="INFO")
    try:
        answer = httpx.post(
            f"{api.url}/v1/classify",
            json={"model": "support", "input": TEXT},
            headers={**caller.headers, "X-Request-Id": "mine-7"},
            timeout=30,
        )
        assert answer.status_code == 200
        request_id = answer.headers["X-Request-Id"]
        assert wait_until(lambda: len(lines(pool_log, "answered")) == 1, SECONDS)
        (predicted,), (answered,) = lines(api_log, "predicted"), lines(pool_log, "answered")
    finally:
        api.kill()
        pool.stop()
    assert answer.headers["X-Client-Request-Id"] == "mine-7"
    assert (predicted["request_id"], predicted["client_request_id"]) == (request_id, "mine-7")
    assert answered["request_id"] == request_id
    assert [fact.request_id for fact in caller.facts()] == [request_id]
    assert "parcel" not in api_log.read_text() + pool_log.read_text()
