"""Work in the background: an entry of a queue that names one tenant and another's object does nothing.

The jobs are found in the code by the dotted paths that queues are given.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import NoResultFound

from core.queues import Queue, rq_queue
from inference.gateway.public_ids import Prefix, find_row_id
from tests.isolation.catalogue import owned_tables
from tests.isolation.conftest import written
from tests.isolation.rows import add_rows

ROOT = Path(__file__).parents[2]
PACKAGES = ("billing", "core", "inference", "portal", "training")
WAITING = {
    "batches": "status = 'validating', heartbeat_at = NULL, finished_at = NULL, webhook_due_at = now(), "
    "webhook_url = 'https://127.0.0.1:1/'",
    "data_exports": "status = 'queued'",
    "dataset_versions": "status = 'checking'",
    "fine_tune_requests": "status = 'validating'",
    "notifications": "due_at = now()",
    "user_mails": "due_at = now()",
}
"""What makes a worker take a row in hand, by table."""

NO_TENANTS = {
    "training.tasks.run_next_job": "takes the next job that waits, whosever it is, by the scheduler's own door",
}


def jobs() -> dict[str, Callable[..., Any]]:
    """The functions that queues are told to call, by path."""
    found: dict[str, Callable[..., Any]] = {}
    for path in _paths():
        module, _, name = path.rpartition(".")
        try:
            job = getattr(import_module(module), name, None)
        except ModuleNotFoundError:
            continue
        if inspect.isfunction(job) and job.__module__ == module:
            found[path] = job
    return found


def _paths() -> Iterator[str]:
    for package in PACKAGES:
        for module in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                text = node.value if isinstance(node, ast.Constant) else None
                if isinstance(text, str) and text.count(".") > 1 and text.partition(".")[0] in PACKAGES:
                    yield text


@pytest.fixture
def theirs(superuser, neighbours) -> dict[str, str]:
    """By the name of a job's argument, the id of an object of the second tenant, which waits for a worker."""
    world, other = neighbours.theirs, neighbours.theirs.scope.tenant_id
    add_rows(superuser, owned_tables(superuser), other)
    for table, values in WAITING.items():
        superuser.execute(f"UPDATE {table} SET {values} WHERE tenant_id = %s", (other,))

    def an_id(table: str) -> str:
        query = f"SELECT id FROM {table} WHERE tenant_id = %s LIMIT 1"
        return str(superuser.execute(query, (other,)).fetchone()[0])

    return {
        "version_id": str(world.arguments["version_id"]),
        "request_id": str(find_row_id(Prefix.JOB, str(world.arguments["fine_tuning_job_id"]))),
        "batch_id": str(find_row_id(Prefix.BATCH, str(world.arguments["batch_id"]))),
        "export_id": str(world.arguments["export_id"]),
        "notification_id": an_id("notifications"),
        "mail_id": an_id("user_mails"),
        "settings_json": "{}",
    }


def test_a_job_with_another_tenants_object_does_nothing(superuser, neighbours, theirs):
    mine, other = str(neighbours.mine.scope.tenant_id), neighbours.theirs.scope.tenant_id
    before = written(superuser, other)
    called = set()
    for path, job in jobs().items():
        if path in NO_TENANTS:
            continue
        first, *named = inspect.signature(job).parameters
        assert first in ("tenant_id", "place"), f"{path} does not say for which tenant"
        unknown = set(named) - theirs.keys()
        assert not unknown, f"{path}: this test has no {', '.join(unknown)}"
        with suppress(NoResultFound):
            job(mine, *(theirs[name] for name in named))
        assert written(superuser, other) == before, path
        called.add(path)
    assert len(called) > 6


def test_every_entry_of_a_queue_names_its_tenant(neighbours, other_admin):
    """What stands in Redis is ids alone, and the first of them says whose the others are."""
    for client in (neighbours.admin.client, other_admin.client):
        assert client.post("/exports").status_code == 303
    tenants = {neighbours.mine.scope.tenant_id, neighbours.theirs.scope.tenant_id}
    entries = rq_queue(Queue.DATASETS).jobs
    assert {UUID(entry.args[0]) for entry in entries} == tenants
