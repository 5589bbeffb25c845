"""The drill: kill one process after another with -9 while tenants' apps ask, and see what the ledger says.

What was acknowledged is there, once; what is there beyond that was under way at a kill. The cap's counters and what
Stripe is to be told are the ledger's sums, and a batch that lost its worker is billed once for each line.
"""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from core.waiting import wait_until
from stack.child import ROOT
from tests.stack.drill import MODEL
from tests.stack.serving import Stack

pytestmark = pytest.mark.xdist_group("whole stack")

THREADS = 6
ANSWERS_BETWEEN_KILLS = 25
PATIENCE = 90
BATCH_LINES = 300
KILLED = ("training.worker batches", "wsgi:api", "clock", "bin/postgres")
"""By a part of their command line: a worker at a batch, the API, the clock, Postgres."""


class Load:
    """Threads that ask without pause, and note what was acknowledged: request id and tokens."""

    def __init__(self, url: str, key: str) -> None:
        self.acknowledged: dict[str, int] = {}
        self.failures = 0
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
        )
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        asked = 0
        while not self._done.is_set():
            asked += 1
            body = {"model": MODEL, "input": [f"Where is my order {number} {asked}?"] * (asked % 3 + 1)}
            answer = self._post(body)
            with self._lock:
                if answer is None:
                    self.failures += 1
                else:
                    self.acknowledged[answer["request_id"]] = answer["usage"]["tokens"]
            if answer is None:
                self._done.wait(0.2)  # what was killed takes a moment to come back

    def _post(self, body: Mapping[str, object]) -> Any:
        try:
            response = self._client.post("/v1/classify", json=body)
        except httpx.TransportError:
            return None
        return response.json() if response.status_code == 200 else None

    def wait_for_more(self) -> None:
        wanted = len(self.acknowledged) + ANSWERS_BETWEEN_KILLS
        assert wait_until(lambda: len(self.acknowledged) >= wanted, PATIENCE), "it does not answer again"

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        self._client.close()


def kill(stack: Stack, part: str) -> None:
    """-9 for every process of the stack whose command line has `part` in it."""
    pids = [pid for pid in stack.pids() if part in _command_line(pid)]
    assert pids, f"no process of the stack is {part}"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def in_the_stack(stack: Stack, *arguments: str) -> Any:
    """What `python -m tests.stack.drill` answers in the stack's settings."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.stack.drill", *arguments],
        cwd=ROOT,
        env={name: stack.environ[name] for name in ("PATH", "STATE_DIR")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def start_batch(client: openai.OpenAI) -> str:
    lines = (
        {
            "custom_id": f"line {number}",
            "method": "POST",
            "url": "/v1/classify",
            "body": {"model": MODEL, "input": f"Where is my parcel {number}?"},
        }
        for number in range(BATCH_LINES)
    )
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    file = client.files.create(file=("lines.jsonl", io.BytesIO(data)), purpose="batch")
    batch_id: str = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/classify",  # type: ignore[arg-type]
        completion_window="24h",
    ).id
    return batch_id


def progress(client: openai.OpenAI, batch_id: str) -> int:
    """How many of the batch's lines are answered."""
    counts = client.batches.retrieve(batch_id).request_counts
    return counts.completed if counts else 0


def test_whatever_is_killed_no_acknowledged_usage_is_lost_and_none_counts_twice(stack):
    stack.start()
    tenant = in_the_stack(stack, "prepare")
    url = f"http://127.0.0.1:{stack.environ['API_PORT']}"
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=tenant["key"])
    load = Load(url, tenant["key"])
    try:
        load.wait_for_more()
        batch_id = start_batch(client)
        assert wait_until(lambda: progress(client, batch_id) > 0, PATIENCE)
        for part in KILLED:
            kill(stack, part)
            load.wait_for_more()
    finally:
        load.stop()

    assert progress(client, batch_id) < BATCH_LINES, "its worker was killed too late"
    in_the_stack(stack, "give-up")
    assert wait_until(lambda: client.batches.retrieve(batch_id).status == "completed", PATIENCE)
    assert progress(client, batch_id) == BATCH_LINES, stack.log("batch-worker")
    found = in_the_stack(stack, "audit", tenant["tenant_id"])
    recorded = dict(found["facts"])
    assert len(recorded) == len(found["facts"])
    of_the_load = {request_id: recorded.get(request_id) for request_id in load.acknowledged}
    assert of_the_load == load.acknowledged
    unacknowledged = len(recorded) - len(load.acknowledged) - BATCH_LINES
    assert 0 <= unacknowledged <= load.failures
    assert sum(found["counted"].values()) == found["to_report"] == sum(recorded.values())
    assert (found["reports"] > 0, found["reports_made_again"]) == (True, 0)
    assert found["reserved"] <= len(KILLED) * (THREADS + BATCH_LINES)
