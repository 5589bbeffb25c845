"""200 planted values go through everything that a tenant can do, and are found in its vault and nowhere else.

The policy's list has every value on it: how well personal data is found is measured elsewhere. This is about what
carries it: no table, log of changes, queue, log, artifact, metric, temporary file or mail may have any of it.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from psycopg import Connection
from redis import Redis
from rq import Queue as RqQueue
from rq.serializers import JSONSerializer

from core.config import STACK_FILE, read_env_file
from core.crypto import unwrap
from core.storage import BlobStore
from core.waiting import wait_until
from stack.child import ROOT
from stack.demo.browser import TIMEOUT, Browser
from stack.postgres import DATABASE, Postgres
from tests.canary import places
from tests.canary.faults import sitecustomize as faults
from tests.canary.search import find
from tests.canary.story import Story, enter
from tests.canary.values import Canary, make_canaries
from tests.stack.serving import Stack

pytestmark = pytest.mark.xdist_group("whole stack")

CANARIES = make_canaries()
CONTROL = make_canaries("control", 1)[0]
"""A value that is put in plain into every place that is searched: where it is not found, nothing would have been."""

METRICS_TOKEN = "metrics-" + "x" * 32
PLACES = {
    "seen/tables",
    "state/postgres/data/base",
    "state/postgres/data/pg_wal",
    "seen/redis",
    "state/valkey",
    "state/logs",
    "state/blobs",
    "state/mail",
    "tmp",
    "kept",
    "seen/metrics",
    "seen/other",
    "seen/staff",
    "seen/own",
}
_OTHERS = ("/", "/datasets", "/models", "/fine-tunes", "/privacy", "/audit", "/usage", "/exports", "/keys")
_OTHERS_API = ("/v1/files", "/v1/models", "/v1/batches", "/v1/fine_tuning/jobs")
_STAFFS = ("/operator/tenants", "/operator/queue", "/operator/pool", "/operator/audit")


@dataclass(frozen=True)
class Left:
    """What was found in all that a stack has left, by its place; and a folder with the tenant's vault, decrypted."""

    found: Mapping[str, set[Canary]]
    vault: Path


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="adaptary-canary-"))
    path.chmod(0o711)  # Postgres runs as another user where we are root
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """A stack that fails where it is told to, and logs all that it ever would."""
    temporary = folder / "tmp"
    temporary.mkdir()
    stack = Stack(folder / "state")
    stack.environ |= {
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(Path(faults.__file__).parent),
        "LOG_LEVEL": "DEBUG",
        "METRICS_TOKEN": METRICS_TOKEN,
    }
    stack.start()
    yield stack
    if stack.process.poll() is None:
        stack.process.terminate()
        stack.process.wait()
    assert wait_until(lambda: stack.pids() == [], 30)


@pytest.fixture(scope="module")
def left(stack: Stack, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What there is when all is done."""
    vault = tmp_path_factory.mktemp("vault")
    with places.Keeper(folder / "tmp", folder / "kept") as keeper:
        made = make_tenants(stack)
        go_through(stack, made["canary"])
        leave_controls(folder, keeper)
    look(stack, made, folder / "seen")
    open_vault(stack, UUID(made["canary"]["id"]), vault)
    return Left(find(folder, [*CANARIES, CONTROL]), vault)


def make_tenants(stack: Stack) -> dict[str, dict[str, str]]:
    result = subprocess.run(
        [sys.executable, "-m", "tests.canary.tenants"],
        cwd=ROOT,
        env={name: stack.environ[name] for name in ("PATH", "STATE_DIR")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout.splitlines()[-1]))


def go_through(stack: Stack, tenant: Mapping[str, str]) -> None:
    """Send the values every way that there is, and have the ways fail, too."""
    with Browser(portal_url(stack)) as portal, api_of(stack, tenant) as api:
        enter(portal, tenant["email"])
        story = Story(portal, api, CANARIES)
        story.deny()
        job = story.start_fine_tune()
        story.upload_tables()
        story.upload_what_is_wrong()
        story.predict()
        story.chat()
        story.play()
        story.ask_wrongly()
        batches = story.start_batches()
        story.crash()
        for batch in batches:
            story.wait_for(f"/v1/batches/{batch}", "completed", "failed")
        trained = story.wait_for(f"/v1/fine_tuning/jobs/{job}", "succeeded", "failed")
        assert trained["status"] == "succeeded", trained["error"]
        story.export()
        story.break_imports()
        hangs = Path(stack.environ["TMPDIR"], faults.HANGS)
        assert wait_until(hangs.exists, TIMEOUT.read or 60)
        kill(stack, "training.worker datasets")


def kill(stack: Stack, part: str) -> None:
    """-9 for every process of the stack whose command line has `part` in it."""
    for pid in stack.pids():
        if part.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "):
            os.kill(pid, signal.SIGKILL)


def leave_controls(folder: Path, keeper: places.Keeper) -> None:
    """Put the control into the folders that are searched, and into a temporary file that is soon gone."""
    for name in (
        "state/logs",
        "state/blobs",
        "state/mail",
        "seen/metrics",
        "seen/other",
        "seen/staff",
        "seen/own",
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "control").write_text(CONTROL.value)
    gone = folder / "tmp" / "gone"
    for path in (gone, folder / "tmp" / "stays"):
        path.write_text(CONTROL.value)
    assert keeper.has_seen("gone")
    gone.unlink()


def look(stack: Stack, made: Mapping[str, Mapping[str, str]], seen: Path) -> None:
    """Write what is not in a file into one: tables, Redis, metrics, and what others get to see."""
    with database_of(stack) as connection:
        connection.execute("CREATE TABLE control (value text)")
        connection.execute("INSERT INTO control VALUES (%s)", [CONTROL.value])
        assert "public.dataset_versions" in places.write_tables(connection, seen / "tables")
        places.write_out_postgres(connection)
    with Redis.from_url(remembered(stack)["REDIS_URL"]) as redis:
        RqQueue("control", connection=redis, serializer=JSONSerializer).enqueue("a.b", args=(CONTROL.value,))
        places.write_redis(redis, seen / "redis")
    with api_of(stack, made["other"]) as api:
        places.write_answers(api, _OTHERS_API, seen / "other" / "api")
        api.headers["Authorization"] = f"Bearer {METRICS_TOKEN}"
        places.write_answers(api, ["/metrics"], seen / "metrics" / "api")
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.environ['POOL_PORT']}", trust_env=False) as pool:
        places.write_answers(pool, ["/metrics"], seen / "metrics" / "pool")
    for who, paths in (("other", _OTHERS), ("staff", _STAFFS)):
        with Browser(portal_url(stack)) as portal:
            enter(portal, made[who]["email"])
            places.write_pages(portal, paths, seen / who / "portal")
    with Browser(portal_url(stack)) as portal, api_of(stack, made["canary"]) as api:
        enter(portal, made["canary"]["email"])
        own = Story(portal, api, CANARIES).pages_without_values()
        places.write_pages(portal, own, seen / "own")


def open_vault(stack: Stack, tenant_id: UUID, vault: Path) -> None:
    """Decrypt every blob of the tenant's into a file."""
    with database_of(stack) as connection:
        (wrapped,) = connection.execute(
            "SELECT wrapped_data_key FROM tenants WHERE id = %s", [tenant_id]
        ).fetchone() or (b"",)
    key = unwrap(base64.b64decode(remembered(stack)["MASTER_KEY"]), tenant_id, wrapped)
    store = BlobStore(f"file://{stack.state}/blobs")
    for name in store.sizes(tenant_id):
        path = vault / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(key, name))


def remembered(stack: Stack) -> dict[str, str]:
    """The stack's secrets and addresses."""
    return read_env_file(stack.state / STACK_FILE)


def database_of(stack: Stack) -> Connection:
    """A connection as the superuser."""
    known = remembered(stack)
    server = Postgres.at(stack.state / "postgres", int(known["POSTGRES_PORT"]), known["POSTGRES_PASSWORD"])
    return server.connect(DATABASE)


def portal_url(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.environ['WEB_PORT']}"


def api_of(stack: Stack, tenant: Mapping[str, str]) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://127.0.0.1:{stack.environ['API_PORT']}",
        headers={"Authorization": f"Bearer {tenant['key']}"},
        timeout=TIMEOUT,
        trust_env=False,
    )


def test_every_place_is_searched(left: Left) -> None:
    where = [path for path, values in left.found.items() if CONTROL in values]
    assert {place for place in PLACES if any(path.startswith(f"{place}/") for path in where)} == PLACES


def test_no_planted_value_is_anywhere_outside_the_vault(left: Left) -> None:
    leaks = {
        path: sorted(canary.value for canary in values - {CONTROL})
        for path, values in left.found.items()
        if values - {CONTROL}
    }
    assert leaks == {}


def test_the_vault_has_every_value_where_the_tenant_put_it(left: Left) -> None:
    assert {canary for values in find(left.vault, CANARIES).values() for canary in values} == set(CANARIES)


def test_what_models_are_trained_on_and_what_they_become_has_no_value(left: Left) -> None:
    found = find(left.vault, CANARIES)
    learned = [path for path in found if path.startswith("adapters/") or path.endswith("rows.jsonl")]
    assert (learned, any(left.vault.glob("datasets/*/*/rows.jsonl"))) == ([], True)
