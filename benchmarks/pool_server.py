"""The pool as a process of its own, for benchmarks over HTTP."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

import httpx

from benchmarks.http_load import post
from core.catalogue import DEFAULT_BASE_MODEL
from core.waiting import wait_until
from inference.tickets import Ticket, Use, sign
from stack.child import ROOT
from stack.ports import free_port

_START_SECONDS = 120


@dataclass(frozen=True)
class PoolServer:
    """A pool that runs."""

    port: int
    key: str

    def put(self, tenant: str, file: bytes) -> str:
        """Put an adapter into its memory, and return the digest."""
        digest = sha256(file).hexdigest()
        url = f"http://127.0.0.1:{self.port}/v1/adapters/{digest}"
        httpx.put(url, content=file, headers=self._ticket(tenant, digest), timeout=60).raise_for_status()
        return digest

    def classify(self, tenant: str, digest: str, texts: list[str]) -> bytes:
        """A request, with a fresh ticket."""
        body = json.dumps({"texts": texts, "truncate": False}).encode()
        return post("/v1/classify", body, self._ticket(tenant, digest))

    def _ticket(self, tenant: str, digest: str) -> dict[str, str]:
        expires = time.time() + 30
        ticket = Ticket(Use.PREDICT, tenant, "req_bench", expires, digest, DEFAULT_BASE_MODEL)
        return {"X-Ticket": sign(ticket, self.key)}


@contextmanager
def pool_server(**variables: str) -> Iterator[PoolServer]:
    """A pool with these settings beside its own."""
    server = PoolServer(free_port(), secrets.token_hex(32))
    environ = {
        "PATH": os.environ["PATH"],
        "POOL_TICKET_KEY": server.key,
        "POOL_PORT": str(server.port),
        "POOL_BASE_MODELS": DEFAULT_BASE_MODEL,
        "LOG_LEVEL": "WARNING",
        **variables,
    }
    process = subprocess.Popen([sys.executable, "-m", "inference.pool"], cwd=ROOT, env=environ)
    try:
        if not wait_until(lambda: _is_ready(server.port), _START_SECONDS):
            raise RuntimeError("The pool did not start.")
        yield server
    finally:
        process.terminate()
        process.wait()


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
