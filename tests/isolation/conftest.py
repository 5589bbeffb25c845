"""Two tenants that know nothing of each other, and the database's superuser, who sees both."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from core import api_keys
from core.config import get_settings
from core.crypto import new_data_key
from core.db import operator_session, tenant_session
from core.models.tenants import Tenant, TenantStatus
from core.tenancy import system_scope
from tests.isolation.catalogue import owned_tables
from tests.isolation.rows import add_rows
from tests.people import Person
from tests.world import World, build_world


@pytest.fixture
def superuser(services) -> Iterator[psycopg.Connection]:
    """Bound by nothing, neither by keys nor by triggers: what is there, and what any table may hold."""
    database = get_settings().app_database_url.rpartition("/")[2]
    connection = services.postgres.connect(database)
    connection.execute("SET session_replication_role = replica; SET lock_timeout = '10s'")
    yield connection
    connection.close()


@pytest.fixture
def two_with_everything(superuser) -> tuple[UUID, UUID]:
    """The ids of two tenants, each with a row in every table that has a tenant."""
    mine, theirs = uuid4(), uuid4()
    for tenant_id in (mine, theirs):
        with operator_session("test") as session:
            session.add(
                Tenant(
                    id=tenant_id,
                    name=str(tenant_id),
                    status=TenantStatus.ACTIVE,
                    wrapped_data_key=new_data_key(get_settings().master_key, tenant_id),
                    terms_version="1",
                )
            )
            session.commit()
        build_world(system_scope(tenant_id, "test"))
        add_rows(superuser, owned_tables(superuser), tenant_id)
    return mine, theirs


@dataclass(frozen=True)
class Neighbours:
    """The admin of a tenant, and a second tenant next to it; each has one of everything."""

    admin: Person
    mine: World
    theirs: World


@pytest.fixture
def neighbours(admin, other_admin) -> Neighbours:
    return Neighbours(
        admin, build_world(admin.scope), build_world(other_admin.scope, model_name="zebrafinch")
    )


@pytest.fixture
def untouched(superuser, neighbours) -> Iterator[None]:
    """Fails where the test changed a row of the second tenant."""
    before = written(superuser, neighbours.theirs.scope.tenant_id)
    yield
    assert written(superuser, neighbours.theirs.scope.tenant_id) == before


def written(superuser: psycopg.Connection, tenant_id: UUID) -> dict[str, list[tuple[object, ...]]]:
    """The tenant's rows by table, each with the transaction that wrote it."""
    found = {}
    for table in owned_tables(superuser):
        query = sql.SQL("SELECT xmin::text, t::text FROM {} t WHERE tenant_id = %s ORDER BY 2")
        found[table] = superuser.execute(query.format(sql.Identifier(table)), (tenant_id,)).fetchall()
    return found


@pytest.fixture(scope="session")
def api(services) -> Flask:
    """The whole API."""
    from portal.api.app import create_api

    return create_api()


@pytest.fixture
def headers(neighbours) -> dict[str, str]:
    """Of a key of the first tenant that may do everything that keys may."""
    with tenant_session(neighbours.mine.scope) as session:
        _, plain = api_keys.create(session, neighbours.mine.scope, "everything", may_manage=True)
        session.commit()
    return {"Authorization": f"Bearer {plain}"}
