"""Two tenants that know nothing of each other, and the database's superuser, who sees both."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from core.config import get_settings
from core.crypto import new_data_key
from core.db import operator_session
from core.models.tenants import Tenant, TenantStatus
from core.tenancy import system_scope
from tests.isolation.catalogue import owned_tables
from tests.isolation.rows import add_rows
from tests.world import build_world


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
