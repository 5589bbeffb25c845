"""The migration that seals what may be people's words: it stays what it was, and nothing of it stays in plain."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from psycopg import Connection, sql
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from core.config import get_settings
from core.crypto import new_data_key
from core.file_names import filename_of
from core.privacy.sealed_lists import open_lists
from core.storage import open_tenant_key
from stack.postgres import OWNER
from tests.services import Services
from training.data.columns import ColumnMapping
from training.data.files import DataFormat
from training.data.readers import Reading
from training.data.sources import open_source

ALLOWED, DENIED, NAME = "Quoll-Harbour Institute", "Zephyrine Quoll 7731", "Quoll, Zephyrine.csv"


@pytest.fixture
def database(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The superuser's connection to a database as it was before the lists were sealed."""
    name = f"sealing_{uuid4().hex[:8]}"
    with services.postgres.connect() as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER))
        )
        monkeypatch.setenv("DATABASE_URL", os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}")
        migrate("0014")
        with services.postgres.connect(name) as connection:
            yield connection
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def migrate(revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", "migrations")
    command.upgrade(config, revision)


def add_policy(database: Connection, wrapped_data_key: bytes, tenant_id: object) -> None:
    database.execute(
        "INSERT INTO tenants (id, name, status, wrapped_data_key, terms_version) VALUES (%s, 'T', 'active', %s, '1')",
        [tenant_id, wrapped_data_key],
    )
    database.execute(
        "INSERT INTO privacy_policies (tenant_id, id, version, entities, operators, allow_list, deny_list, enabled, withdrawn)"
        " VALUES (%s, %s, 3, '[]', '{}', jsonb_build_array(%s::text), jsonb_build_array(%s::text), true, false)",
        [tenant_id, uuid4(), ALLOWED, DENIED],
    )


def file_of_the_table(database: Connection, services: Services, table: str = "privacy_policies") -> bytes:
    database.execute("CHECKPOINT")
    (path,) = database.execute("SELECT pg_relation_filepath(%s)", [table]).fetchone() or ("",)
    return Path(services.postgres.data, path).read_bytes()


def test_lists_are_sealed_with_their_tenants_key_and_leave_the_tables_file(database, services):
    tenant_id = uuid4()
    wrapped = new_data_key(get_settings().master_key, tenant_id)
    add_policy(database, wrapped, tenant_id)
    assert DENIED.encode() in file_of_the_table(database, services)

    migrate("0015")

    (sealed,) = database.execute("SELECT sealed_lists FROM privacy_policies").fetchone() or (None,)
    assert open_lists(open_tenant_key(tenant_id, wrapped), 3, sealed) == (
        frozenset({ALLOWED}),
        frozenset({DENIED}),
    )
    for value in (ALLOWED, DENIED):
        assert value.encode() not in file_of_the_table(database, services)


def test_names_of_files_and_columns_are_sealed_and_leave_their_tables_files(database, services):
    tenant_id, dataset_id, file_id, version_id = (uuid4() for _ in range(4))
    wrapped = new_data_key(get_settings().master_key, tenant_id)
    add_policy(database, wrapped, tenant_id)
    database.execute(
        "INSERT INTO api_files (tenant_id, id, filename, purpose, size_bytes, digest, blob)"
        " VALUES (%s, %s, %s, 'batch', 1, '', '')",
        [tenant_id, file_id, NAME],
    )
    database.execute(
        "INSERT INTO datasets (tenant_id, id, name, task) VALUES (%s, %s, 'D', 'classification')",
        [tenant_id, dataset_id],
    )
    mapping = {**ColumnMapping("text", DENIED).to_json(), "reading": Reading(DataFormat.CSV).to_json()}
    database.execute(
        "INSERT INTO dataset_versions (tenant_id, id, dataset_id, number, status, filename, format, size_bytes, columns,"
        " mapping, progress, corrections_revision) VALUES (%s, %s, %s, 1, 'review', %s, 'csv', 1, %s, %s, 0, 0)",
        [tenant_id, version_id, dataset_id, NAME, Jsonb(["text", DENIED]), Jsonb(mapping)],
    )
    assert NAME.encode() in file_of_the_table(database, services, "api_files")

    migrate("0015")

    key = open_tenant_key(tenant_id, wrapped)
    file, version = (
        database.cursor(row_factory=namedtuple_row).execute(f"SELECT * FROM {table}").fetchone()
        for table in ("api_files", "dataset_versions")
    )
    assert filename_of(key, file) == NAME
    source = open_source(key, version)
    assert (source.filename, source.columns) == (NAME, ["text", DENIED])
    assert (source.mapping, source.reading) == (ColumnMapping("text", DENIED), Reading(DataFormat.CSV))
    for table in ("api_files", "dataset_versions"):
        content = file_of_the_table(database, services, table)
        assert not any(value.encode() in content for value in (NAME, DENIED))


def test_lists_of_a_tenant_whose_key_is_destroyed_are_dropped(database):
    add_policy(database, b"", uuid4())
    migrate("0015")
    assert database.execute("SELECT sealed_lists FROM privacy_policies").fetchall() == [(None,)]
