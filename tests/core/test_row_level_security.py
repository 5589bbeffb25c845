"""The fences between tenants as the app's own sessions meet them; tests/isolation has the database's side."""

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.api_keys import create
from core.clock import now
from core.db import app_engine, operator_session, tenant_connection, tenant_session
from core.models.all import Base
from core.models.api_keys import ApiKey
from core.models.base import TenantOwned
from core.models.datasets import Dataset, DatasetVersion
from core.models.usage import UsageFact, UsageKind, UsageSource
from core.tenancy import system_scope

TENANT_OWNED = sorted(
    str(mapper.local_table) for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantOwned)
)


@pytest.fixture
def two_tenants(make_tenant):
    tenants = make_tenant(), make_tenant()
    for tenant in tenants:
        with tenant_session(system_scope(tenant.id, "test")) as session:
            create(session, session.scope, "test")
            session.commit()
    return tenants


@pytest.mark.usefixtures("services")
def test_every_table_with_a_tenant_is_known_to_be_tenant_owned():
    inspector = inspect(app_engine())
    with_tenant = {
        table
        for table in inspector.get_table_names()
        if "tenant_id" in {c["name"] for c in inspector.get_columns(table)}
    }
    assert with_tenant == set(TENANT_OWNED)


def test_a_tenant_sees_its_own_rows_only(two_tenants):
    for tenant in two_tenants:
        with tenant_session(system_scope(tenant.id, "test")) as session:
            assert {key.tenant_id for key in session.scalars(select(ApiKey))} == {tenant.id}


def test_a_tenants_connection_sees_its_own_rows_only_and_leaves_nothing_behind(two_tenants):
    for tenant in two_tenants:
        with tenant_connection(system_scope(tenant.id, "test")) as connection:
            assert connection.scalars(select(ApiKey.tenant_id)).all() == [tenant.id]
        with app_engine().connect() as connection:
            assert connection.scalars(select(ApiKey.tenant_id)).all() == []


def test_writing_a_row_of_another_tenant_is_refused(two_tenants):
    mine, other = two_tenants
    with tenant_session(system_scope(mine.id, "test")) as session:
        session.add(Dataset(tenant_id=other.id, name="not mine"))
        with pytest.raises(DBAPIError, match="row-level security"):
            session.flush()


def test_a_reference_into_another_tenant_is_refused(two_tenants):
    mine, other = two_tenants
    with tenant_session(system_scope(other.id, "test")) as session:
        theirs = Dataset(tenant_id=other.id, name="theirs")
        session.add(theirs)
        session.commit()
    with tenant_session(system_scope(mine.id, "test")) as session:
        session.add(
            DatasetVersion(tenant_id=mine.id, dataset_id=theirs.id, number=1, format="csv", size_bytes=1)
        )
        with pytest.raises(IntegrityError, match="fk_dataset_versions"):
            session.flush()


def test_nobody_alters_or_deletes_a_usage_fact(two_tenants):
    tenant = two_tenants[0]
    with tenant_session(system_scope(tenant.id, "test")) as session:
        session.add(
            UsageFact(
                tenant_id=tenant.id,
                request_id="r",
                kind=UsageKind.PREDICTION,
                quantity=1,
                source=UsageSource.API,
                occurred_at=now(),
            )
        )
        session.commit()
    for statement in ("UPDATE usage_facts SET quantity = 2", "DELETE FROM usage_facts"):
        with (
            tenant_session(system_scope(tenant.id, "test")) as session,
            pytest.raises(DBAPIError, match="denied"),
        ):
            session.execute(text(statement))
        with operator_session("test") as session, pytest.raises(DBAPIError, match="denied"):
            session.execute(text(statement))
