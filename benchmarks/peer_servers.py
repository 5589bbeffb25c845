"""Servers that a team could choose instead of the pool, each in an environment of its own, with merged models."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.http_load import post
from benchmarks.peer_venv import PeerUnavailable, peer_environ, peer_venv
from core.waiting import wait_until
from stack.child import has_ended, spawn, stop
from stack.ports import HOST, free_port

# The same torch as ours, so that both run the same kernels.
INFINITY = "infinity-emb[torch,server]==0.0.78\ntransformers==4.57.6\ntorch==2.13.0\n"
FLASK = "flask==3.1.3\ngunicorn==27.0.1\ntransformers==5.23.0\ntorch==2.13.0\n"

_START_SECONDS = 180
_THREADS = 4
_PATH = "/classify"


@dataclass(frozen=True)
class PeerServer:
    """A peer that runs, and the names of its models."""

    port: int
    models: tuple[str, ...]

    def classify(self, model: str, text: str) -> bytes:
        """A request."""
        return post(_PATH, _body(model, text))

    def answers(self) -> bool:
        """Whether each of its models has answered now."""
        try:
            return all(self._status(model) == HTTPStatus.OK for model in self.models)
        except (OSError, HTTPException):
            return False

    def _status(self, model: str) -> int:
        connection = HTTPConnection(HOST, self.port, timeout=_START_SECONDS)
        with closing(connection):
            connection.request(
                "POST", _PATH, _body(model, "Is anybody there?"), {"Content-Type": "application/json"}
            )
            return connection.getresponse().status


def _body(model: str, text: str) -> bytes:
    return json.dumps({"model": model, "input": [text]}).encode()


@contextmanager
def infinity(models: Sequence[Path]) -> Iterator[PeerServer]:
    """infinity-emb with the models in these folders. Raises PeerUnavailable."""
    venv, port = peer_venv("infinity", INFINITY), free_port()
    options = ["--host", HOST, "--port", str(port), "--engine", "torch", "--device", "cpu"]
    # No cache of answers, and the load warms it up.
    options += ["--no-vector-disk-cache", "--no-model-warmup"]
    for model in models:
        options += ["--model-id", str(model), "--served-model-name", model.name]
    command = [str(venv / "bin" / "infinity_emb"), "v2", *options]
    with _serving(venv, command, {}, PeerServer(port, tuple(model.name for model in models))) as server:
        yield server


@contextmanager
def flask_pipeline(models: Sequence[Path]) -> Iterator[PeerServer]:
    """benchmarks/flask_pipeline_app.py with the models in these folders, which lie side by side, a process for each core.

    Raises PeerUnavailable.
    """
    venv, port = peer_venv("flask-pipeline", FLASK), free_port()
    options = ["--chdir", "benchmarks", "--bind", f"{HOST}:{port}", "--timeout", "120", "--keep-alive", "120"]
    options += ["--workers", str(len(os.sched_getaffinity(0))), "--threads", str(_THREADS)]
    command = [str(venv / "bin" / "gunicorn"), *options, "flask_pipeline_app:app"]
    environ = {"MODELS": str(models[0].parent), "OMP_NUM_THREADS": "1"}
    with _serving(venv, command, environ, PeerServer(port, tuple(model.name for model in models))) as server:
        yield server


@contextmanager
def _serving(
    venv: Path, command: Sequence[str], environ: Mapping[str, str], server: PeerServer
) -> Iterator[PeerServer]:
    log = venv / "server.log"
    log.unlink(missing_ok=True)
    child = spawn(command, environ={**peer_environ(venv), **environ}, log=log)
    try:
        wait_until(lambda: has_ended(child) or server.answers(), _START_SECONDS)
        if has_ended(child) or not server.answers():
            raise PeerUnavailable(f"{venv.name} did not start; {log} says why")
        yield server
    finally:
        stop(child)
