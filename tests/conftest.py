"""What every test can ask for: real Postgres and Redis, tenants, and data that lies beside the checkout."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

from tests.services import Cleaner, RunningServices, Services, set_environment

if TYPE_CHECKING:
    from core.models.tenants import Tenant

# No conftest.py below: the routes' tests and the browser's want the same portal, people and payment provider.
pytest_plugins = ["tests.people", "tests.chromium", "tests.fake_stripe.fixtures", "tests.logs"]

ALONE = "main"
SHARED = Path(__file__).parents[2] / "shared"

# How long an example takes says more about the machine, which others use too, than about the code.
settings.register_profile("adaptary", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("adaptary")

_chosen = pytest.StashKey[Services]()
_running = pytest.StashKey[RunningServices]()
_tenant_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the services' addresses and set the environment before any test module reads it."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    services = Services(**given["services"]) if given else Services.choose()
    config.stash[_chosen] = services
    set_environment(services.environ(_database(config), _redis_database(config)))


def pytest_configure_node(node: Any) -> None:
    """In the process that starts the workers: start the services for all of them."""
    running = _start(node.config)
    node.workerinput["services"] = asdict(running.services)
    running.make_database(_database_of(node.workerinput["workerid"]))


def pytest_unconfigure(config: pytest.Config) -> None:
    if _running in config.stash:
        config.stash[_running].stop()
    elif not hasattr(config, "workerinput") and _chosen in config.stash:
        RunningServices(config.stash[_chosen]).stop()


def _start(config: pytest.Config) -> RunningServices:
    if _running not in config.stash:
        config.stash[_running] = RunningServices(config.stash[_chosen])
        config.stash[_running].start()
    return config.stash[_running]


def _worker(config: pytest.Config) -> str:
    given: dict[str, str] = getattr(config, "workerinput", {})
    return given.get("workerid", ALONE)


def _database(config: pytest.Config) -> str:
    return _database_of(_worker(config))


def _database_of(worker: str) -> str:
    return f"test_{worker}"


def _redis_database(config: pytest.Config) -> int:
    worker = _worker(config)
    return 0 if worker == ALONE else int(worker.removeprefix("gw")) + 1


@pytest.fixture(scope="session", autouse=True)
def quick_password_hashes() -> Iterator[None]:
    """Hashes that cost next to nothing in this process: nearly every test of a page signs somebody up and in."""
    from argon2 import PasswordHasher

    from core import passwords

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config) -> Iterator[Services]:
    """Postgres, migrated, and Redis: this worker's own databases, which its settings point at."""
    database = _database(pytestconfig)
    if _worker(pytestconfig) == ALONE:
        _start(pytestconfig).make_database(database)
    yield pytestconfig.stash[_chosen]

    from core.db import dispose_engines

    dispose_engines()


@pytest.fixture(scope="session")
def _cleaner(services: Services, pytestconfig: pytest.Config) -> Iterator[Cleaner]:
    cleaner = Cleaner(services, _database(pytestconfig))
    yield cleaner
    cleaner.close()


@pytest.fixture(autouse=True)
def clean_database(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that used the services: the database as the migrations left it, and Redis empty."""
    uses_services = "services" in request.fixturenames
    cleaner: Cleaner | None = request.getfixturevalue("_cleaner") if uses_services else None
    yield
    if cleaner is not None:
        from core.queues import redis

        cleaner.clean()
        redis().flushdb()


@pytest.fixture
def redis(services: Services) -> Redis:
    """This worker's Redis, as the app uses it."""
    from core.queues import redis

    return redis()


@pytest.fixture
def make_tenant(services: Services) -> Callable[[], "Tenant"]:
    """`make_tenant()`: a new tenant, with an admin."""
    from core.db import operator_session
    from portal.accounts import sign_up

    def make_tenant() -> "Tenant":
        number = next(_tenant_numbers)
        with operator_session("test") as session:
            tenant, _ = sign_up(
                session,
                tenant_name=f"Tenant {number}",
                name="Ada",
                email=f"ada{number}@tenant.example",
                password="correct horse battery",
            )
            session.commit()
        return tenant

    return make_tenant


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The public data sets beside the checkout; a test that needs them is skipped where they are not."""
    if not SHARED.is_dir():
        pytest.skip(f"There is no {SHARED}.")
    return SHARED
