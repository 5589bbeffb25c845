"""A real pool in a process of its own, for tests that talk to it."""

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from core.catalogue import DEFAULT_BASE_MODEL
from core.waiting import wait_until
from inference.tickets import Ticket, Use, sign
from stack.ports import free_port

ROOT = Path(__file__).parents[2]
_START_SECONDS = 240


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once `url` answers 200. Raises RuntimeError if the process ends or takes too long."""
    wait_until(lambda: _answers(url) or process.poll() is not None, _START_SECONDS)
    if not _answers(url):
        raise RuntimeError(f"{url} did not become ready; the process's exit status is {process.poll()}.")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


class PoolProcess:
    """`python -m inference.pool` (or another `module`), with nothing in its environment but what it needs."""

    def __init__(
        self,
        *,
        key: str,
        port: int | None = None,
        log: Path | None = None,
        module: str = "inference.pool",
        **variables: str,
    ) -> None:
        """`log` gets what it prints; without, that goes where the tests' own output goes."""
        self.key = key
        self._module = module
        self.port = port or free_port()
        self._log = log
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {
            "PATH": os.environ["PATH"],
            "POOL_TICKET_KEY": key,
            "POOL_PORT": str(self.port),
            "POOL_BASE_MODELS": DEFAULT_BASE_MODEL,
            "POOL_ENGINES": "1",
            "LOG_LEVEL": "WARNING",
            **variables,
        }
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") if self._log else nullcontext() as output:
            process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                cwd=ROOT,
                env=self._environ,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until_ready(f"{self.url}/readyz", process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def restart(self) -> None:
        """Start it anew, with nothing in memory."""
        self.kill()
        self.process = self._start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and return its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=20)

    def ticket(
        self, tenant: str, adapter: str, *, base: str = "all-minilm-l6-v2", seconds: float = 20
    ) -> dict[str, str]:
        """The header of a ticket to predict with `adapter`."""
        ticket = Ticket(
            use=Use.PREDICT,
            tenant=tenant,
            request=f"req_{uuid4().hex}",
            expires=time.time() + seconds,
            adapter=adapter,
            base=base,
        )
        return {"X-Ticket": sign(ticket, self.key)}

    def look(self) -> dict[str, Any]:
        """The pool's state."""
        answer = httpx.get(f"{self.url}/v1/state", headers=self.state(), timeout=10)
        return dict(answer.raise_for_status().json())

    def put(self, tenant: str, file: bytes) -> str:
        """Put an adapter into the pool's memory for `tenant`, and return its digest."""
        digest = sha256(file).hexdigest()
        headers = self.ticket(tenant, digest)
        httpx.put(
            f"{self.url}/v1/adapters/{digest}", content=file, headers=headers, timeout=30
        ).raise_for_status()
        return digest

    def ask(
        self,
        route: str,
        tenant: str,
        adapter: str,
        texts: list[str],
        *,
        truncate: bool = False,
        **ticket: Any,
    ) -> httpx.Response:
        """POST texts to `route` for `tenant`."""
        return httpx.post(
            f"{self.url}/v1/{route}",
            json={"texts": texts, "truncate": truncate},
            headers=self.ticket(tenant, adapter, **ticket),
            timeout=40,
        )

    def state(self) -> dict[str, str]:
        """The header of a ticket to see the pool's state."""
        return {"X-Ticket": sign(Ticket(Use.STATE, "", "req_state", time.time() + 20), self.key)}
