"""`python -m stack serve`: everything comes up, works together, and goes away."""

import re
import signal
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from core.config import read_env_file
from core.waiting import wait_until
from stack.postgres import OWNER
from tests.services import Services
from tests.stack.processes import is_alive

pytestmark = pytest.mark.xdist_group("whole stack")


def test_it_serves_keeps_its_data_and_leaves_nothing_behind(stack):
    stack.start()
    for name in (
        "postgres",
        "valkey",
        "migrations",
        "pool",
        "api",
        "web",
        "worker",
        "data-worker",
        "batch-worker",
        "clock",
    ):
        assert re.search(rf"✓ {name} +[\d.]+ s", stack.said()), stack.said()
    for port in ("WEB_PORT", "API_PORT"):
        assert httpx.get(f"http://127.0.0.1:{stack.environ[port]}/healthz").status_code == 200

    made = stack.command("tenant", "create", "Kept", "--email", "ada@kept.example")
    assert made.returncode == 0, made.stderr
    running = stack.pids()
    stack.process.send_signal(signal.SIGTERM)
    assert stack.process.wait(timeout=60) == 0
    assert not any(map(is_alive, running))

    secrets = read_env_file(stack.state / "stack.env")
    stack.start()
    assert read_env_file(stack.state / "stack.env")["MASTER_KEY"] == secrets["MASTER_KEY"]
    again = stack.command("tenant", "create", "Kept", "--email", "ada@kept.example")
    assert again.returncode != 0
    assert "ada@kept.example" in again.stderr or "address" in again.stderr

    stack.process.kill()
    stack.process.wait()
    assert wait_until(lambda: stack.pids() == [], 30)


def test_a_wrong_port_stops_the_start_before_anything_runs(stack):
    stack.environ["WEB_PORT"] = stack.environ["API_PORT"]
    with pytest.raises(AssertionError, match="WEB_PORT and API_PORT"):
        stack.start()
    assert stack.process.wait(timeout=10) == 1


@pytest.fixture
def real_servers(services: Services) -> Iterator[dict[str, str]]:
    """The variables that point a stack at servers that are not its own: the tests', with a database for it."""
    connection = services.postgres.connect()
    connection.execute(f"CREATE DATABASE real OWNER {OWNER}")
    names = ("DATABASE_URL", "APP_DATABASE_URL", "OPERATOR_DATABASE_URL", "REDIS_URL")
    environ = services.environ("real", services.valkey.databases - 1)
    yield {name: environ[name] for name in names}
    connection.execute("DROP DATABASE real WITH (FORCE)")
    connection.close()


def test_real_servers_take_the_place_of_the_embedded_ones(stack, real_servers):
    stack.environ |= real_servers
    stack.start()
    assert "postgres" not in stack.said()
    assert "valkey" not in stack.said()
    assert httpx.get(f"http://127.0.0.1:{stack.environ['WEB_PORT']}/healthz").status_code == 200
    with psycopg.connect(real_servers["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT to_regclass('tenants')").fetchone() == ("tenants",)
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(timeout=60) == 0
