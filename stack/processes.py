"""What the stack is made of: its processes, in the order in which they start."""

import socket
import sys
from collections.abc import Callable, Iterator

import httpx
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker

from core.queues import Queue
from stack.environment import StackEnvironment
from stack.ports import HOST
from stack.postgres import STOP_SIGNAL as STOP_POSTGRES
from stack.postgres import Postgres
from stack.state import StateFolder
from stack.supervisor import Process
from stack.valkey import Valkey

# Forms and pages answer in milliseconds; the API's requests may wait for the pool, or stream.
_WEB_THREADS = 16
_API_THREADS = 64


def servers(environment: StackEnvironment, folder: StateFolder) -> Iterator[Process]:
    """Postgres and Valkey, each unless the shell names one to use instead."""
    if environment.postgres_port is not None:
        yield _postgres(environment, folder, environment.postgres_port)
    if environment.redis_port is not None:
        yield _valkey(environment, folder, environment.redis_port)


def migrations(environment: StackEnvironment) -> Process:
    """What brings the database up to date, and ends."""
    return Process(
        name="migrations",
        command=[sys.executable, "-m", "migrations"],
        environ=environment.for_migrations(),
        start_seconds=600,
    )


def apps(environment: StackEnvironment, *, ray: bool = False) -> Iterator[Process]:
    """The pool (with `ray` over a cluster), api, web, the workers and the clock."""
    python, app_environ = sys.executable, environment.for_apps()
    yield Process(
        name="pool",
        command=[python, "-m", "inference.pool.cluster" if ray else "inference.pool"],
        environ=environment.for_pool(),
        is_ready=_answers(f"http://{HOST}:{environment.pool_port}/readyz"),
        start_seconds=180,
    )
    for name, app, port, threads in (
        ("api", "wsgi:api", environment.api_port, _API_THREADS),
        ("web", "wsgi:portal", environment.web_port, _WEB_THREADS),
    ):
        yield Process(
            name=name,
            command=[
                *(python, "-m", "gunicorn", "-c", "python:stack.gunicorn_config"),
                *("--bind", f"{HOST}:{port}", "--threads", str(threads), app),
            ],
            environ=app_environ,
            is_ready=_answers(f"http://{HOST}:{port}/healthz"),
        )
    workers = {"worker": Queue.FINE_TUNE, "data-worker": Queue.DATASETS, "batch-worker": Queue.BATCHES}
    if app_environ.get("STRIPE_SECRET_KEY"):
        workers["billing-worker"] = Queue.BILLING
    for name, queue in workers.items():
        yield Process(
            name=name,
            command=[python, "-m", "training.worker", queue],
            environ=app_environ,
            is_ready=_has_registered(environment["REDIS_URL"]),
        )
    yield Process(
        name="clock", command=[python, "-m", "flask", "--app", "wsgi", "clock", "run"], environ=app_environ
    )


def _postgres(environment: StackEnvironment, folder: StateFolder, port: int) -> Process:
    server = Postgres.at(folder.path / "postgres", port, environment.secrets["POSTGRES_PASSWORD"])

    def prepare() -> None:
        server.initialise()
        server.clear_way()

    def is_ready(_pid: int) -> bool:
        if not server.is_ready():
            return False
        server.bootstrap(environment.secrets["OWNER_PASSWORD"])
        return True

    return Process(
        name="postgres",
        command=server.command,
        environ=server.environ,
        prepare=prepare,
        is_ready=is_ready,
        stop_signal=STOP_POSTGRES,
        death_signal=STOP_POSTGRES,
        user=server.user,
    )


def _valkey(environment: StackEnvironment, folder: StateFolder, port: int) -> Process:
    server = Valkey(folder.path / "valkey", port, environment.secrets["REDIS_PASSWORD"])
    return Process(
        name="valkey",
        command=server.command,
        environ=server.environ,
        prepare=server.configure,
        is_ready=lambda _pid: server.is_ready(),
    )


def _answers(url: str) -> Callable[[int], bool]:
    def probe(_pid: int) -> bool:
        try:
            # Past any proxy that the shell names: this is our own machine.
            return httpx.get(url, timeout=10, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    return probe


def _has_registered(redis_url: str) -> Callable[[int], bool]:
    """Whether the worker with a process id on this machine is known to RQ."""

    def probe(pid: int) -> bool:
        try:
            with Redis.from_url(redis_url) as connection:
                workers = Worker.all(connection=connection)
        except RedisError:
            return False
        return any(worker.pid == pid and worker.hostname == socket.gethostname() for worker in workers)

    return probe
