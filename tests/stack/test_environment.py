"""What each process of the stack is told, and what it is not."""

import socket
from pathlib import Path

import pytest

from core.config import Settings
from stack.environment import StackEnvironment
from stack.errors import StackError
from stack.ports import free_port
from stack.processes import apps
from stack.state import StateFolder

SECRETS = ("SECRET_KEY", "API_KEY_PEPPER", "MASTER_KEY")


@pytest.fixture
def shell() -> dict[str, str]:
    ports = {name: str(free_port()) for name in ("WEB_PORT", "API_PORT", "POOL_PORT")}
    return {"PATH": "/bin", "HTTPS_PROXY": "http://proxy", **ports}


@pytest.fixture
def folder(tmp_path: Path):
    with StateFolder(tmp_path / "state") as folder:
        yield folder


def test_the_apps_settings_are_complete(shell, folder):
    environment = StackEnvironment.prepare(shell, folder)
    settings = Settings.from_environment(environment.for_apps())
    assert settings.portal_url == f"http://127.0.0.1:{shell['WEB_PORT']}"
    assert settings.state_dir == folder.path


def test_a_worker_for_stripe_runs_where_stripe_collects(shell, folder):
    shell["STRIPE_SECRET_KEY"] = "sk_test_0"
    names = [process.name for process in apps(StackEnvironment.prepare(shell, folder))]
    assert "billing-worker" in names
    del shell["STRIPE_SECRET_KEY"]
    names = [process.name for process in apps(StackEnvironment.prepare(shell, folder))]
    assert "billing-worker" not in names


def test_a_command_in_another_shell_finds_the_stack(shell, folder):
    environment = StackEnvironment.prepare(shell, folder)
    elsewhere = Settings.from_environment({"STATE_DIR": str(folder.path)})
    assert elsewhere == Settings.from_environment(environment.for_apps())


def test_a_second_start_reuses_secrets_and_ports(shell, folder):
    first = StackEnvironment.prepare(shell, folder)
    second = StackEnvironment.prepare(shell, folder)
    assert second == first


def test_the_pool_holds_neither_database_nor_redis_nor_master_key(shell, folder):
    shell |= {"DATABASE_URL": "postgresql://o:p@db/a", "AWS_SECRET_ACCESS_KEY": "x", "POOL_THREADS": "2"}
    environment = StackEnvironment.prepare(shell, folder)
    pool = environment.for_pool()
    assert set(pool) == {"PATH", "POOL_PORT", "POOL_THREADS", "POOL_TICKET_KEY"}
    known = [*environment.secrets.values(), *environment.addresses.values(), environment.database_url]
    assert [value for value in known if value in pool.values()] == [environment["POOL_TICKET_KEY"]]


def test_only_the_migrations_connect_as_the_owner(shell, folder):
    environment = StackEnvironment.prepare(shell, folder)
    assert environment.for_migrations()["DATABASE_URL"] == environment.database_url
    apps = environment.for_apps()
    assert environment.database_url not in apps.values()
    for name in ("DATABASE_URL", "POSTGRES_PASSWORD", "OWNER_PASSWORD"):
        assert name not in apps


def test_real_servers_take_the_embedded_ones_place(shell, folder):
    shell |= {
        "DATABASE_URL": "postgresql://owner:p%40ss@db.example:5433/prod?sslmode=require",
        "REDIS_URL": "rediss://r",
    }
    environment = StackEnvironment.prepare(shell, folder)
    assert environment.postgres_port is environment.redis_port is None
    app_url = environment.for_apps()["APP_DATABASE_URL"]
    assert app_url.startswith("postgresql://adaptary_app:")
    assert app_url.endswith("@db.example:5433/prod?sslmode=require")
    assert environment.for_apps()["REDIS_URL"] == "rediss://r"
    assert environment.for_migrations()["DATABASE_URL"] == shell["DATABASE_URL"]
    assert "p%40ss" not in (folder.path / "stack.env").read_text()


def test_the_shells_own_secrets_win(shell, folder):
    environment = StackEnvironment.prepare({**shell, "SECRET_KEY": "s" * 40}, folder)
    assert environment.for_apps()["SECRET_KEY"] == "s" * 40


@pytest.mark.parametrize("name", ["WEB_PORT", "API_PORT", "POOL_PORT"])
def test_a_taken_port_names_the_variable_to_set(shell, folder, name):
    taken = pytest.raises(StackError, match=rf"Port {shell[name]} is taken.* Set {name}")
    with socket.create_server(("127.0.0.1", int(shell[name]))), taken:
        StackEnvironment.prepare(shell, folder)


def test_a_port_that_is_none_is_named(shell, folder):
    with pytest.raises(StackError, match="API_PORT is 'x'"):
        StackEnvironment.prepare({**shell, "API_PORT": "x"}, folder)


def test_two_processes_cannot_have_one_port(shell, folder):
    with pytest.raises(StackError, match="WEB_PORT and POOL_PORT"):
        StackEnvironment.prepare({**shell, "POOL_PORT": shell["WEB_PORT"]}, folder)


def test_data_without_its_secrets_is_refused(shell, folder):
    (folder.path / "postgres").mkdir()
    with pytest.raises(StackError, match=r"stack\.env"):
        StackEnvironment.prepare(shell, folder)
