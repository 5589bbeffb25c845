"""Deleting a tenant: days of grace, and then nothing is left but what the law asks for."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import inspect, select, text, update

from core import api_keys
from core.api_keys import TenantSuspended
from core.clock import now
from core.config import get_settings
from core.crypto import KeyRejected
from core.db import operator_engine, operator_session, tenant_session
from core.models.all import Base
from core.models.base import TenantOwned
from core.models.billing import Invoice
from core.models.notifications import Notification
from core.models.tenants import Tenant, TenantDeletion, TenantStatus
from core.models.usage import UsageFact, UsageKind, UsageSource
from core.queues import Queue, enqueue, rq_queue
from core.storage import blob_store, tenant_key
from core.tenancy import Role, StaffRole, system_scope
from portal import destruction, periodic
from portal.accounts import invite, sign_up
from tests.people import PASSWORD, Person
from tests.world import build_world

TENANT_OWNED = sorted(
    str(mapper.local_table) for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantOwned)
)
EMAIL = "ada.of.acme@example.com"
INVITED = "grace.of.acme@example.com"
# Amounts that are no books: what a tenant wanted to be told, not what it owes.
NO_BOOKS = {"budgets", "budget_alerts"}


@pytest.fixture
def acme(services, sign_in) -> Person:
    """The admin of a tenant whose name is nobody's address."""
    with operator_session("test") as session:
        tenant, user = sign_up(
            session, tenant_name="Acme Ltd", name="Ada Byron-King", email=EMAIL, password=PASSWORD
        )
        session.commit()
    return Person(sign_in(EMAIL), EMAIL, system_scope(tenant.id, "test"), user.id)


def id_of(person: Person) -> UUID:
    assert person.scope is not None
    return person.scope.tenant_id


def certificate_of(person: Person) -> dict[str, Any]:
    certificate = deletion_of(person).certificate
    assert certificate is not None
    return certificate


def ask(person: Person, name: str = "Acme Ltd"):
    return person.client.post("/deletion", data={"name": name})


def end_grace(person: Person) -> None:
    with operator_session("test") as session:
        session.execute(
            update(TenantDeletion)
            .where(TenantDeletion.tenant_id == id_of(person))
            .values(due_at=now() - timedelta(seconds=1))
        )
        session.commit()


def deletion_of(person: Person) -> TenantDeletion:
    with operator_session("test") as session:
        return session.scalars(
            select(TenantDeletion).where(
                TenantDeletion.tenant_id == id_of(person), TenantDeletion.withdrawn_at.is_(None)
            )
        ).one()


def tenant_of(person: Person) -> Tenant:
    with operator_session("test") as session:
        return session.get_one(Tenant, id_of(person))


def count_rows(person: Person) -> dict[str, int]:
    with operator_engine().connect() as connection:
        return {
            table: connection.scalar(
                text(f"SELECT count(*) FROM {table} WHERE tenant_id = :id"), {"id": id_of(person)}
            )
            for table in TENANT_OWNED
        }


def tables_that_hold(value: str) -> list[str]:
    with operator_engine().connect() as connection:
        return [
            table
            for table in inspect(connection).get_table_names()
            if connection.scalar(text("SELECT has_table_privilege(:table, 'SELECT')"), {"table": table})
            and connection.scalar(
                text(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE :value"), {"value": f"%{value}%"}
            )
        ]


def test_the_tenants_name_has_to_be_typed(acme):
    response = ask(acme, "Acme")
    assert response.status_code == 422
    assert "Type the tenant&#39;s name, “Acme Ltd”." in response.get_data(as_text=True)
    assert tenant_of(acme).status is TenantStatus.ACTIVE


def test_keys_are_refused_at_once_and_work_again_when_it_is_taken_back(acme):
    with tenant_session(acme.scope) as session:
        _, plain = api_keys.create(session, acme.scope, "test")
        session.commit()
    assert ask(acme).status_code == 303
    with operator_session("test") as session, pytest.raises(TenantSuspended, match="to be deleted"):
        api_keys.verify(session, plain)
    assert "This tenant is to be deleted" in acme.client.get("/models").get_data(as_text=True)
    assert acme.client.post("/deletion/withdraw").status_code == 303
    with operator_session("test") as session:
        assert api_keys.verify(session, plain).scope.tenant_id == id_of(acme)
    assert "This tenant is to be deleted" not in acme.client.get("/models").get_data(as_text=True)


def test_its_people_are_told_when_it_is_asked_for_and_when_it_is_kept(acme):
    ask(acme)
    acme.client.post("/deletion/withdraw")
    with tenant_session(acme.scope) as session:
        told = session.execute(
            select(Notification.subject, Notification.body).order_by(Notification.created_at)
        ).all()
    assert [subject for subject, _ in told] == ["Acme Ltd is to be deleted", "Acme Ltd is kept"]
    assert all(f"{EMAIL} " in body for _, body in told)


def test_a_tenant_may_be_asked_for_again_after_it_was_kept(acme):
    for _ in range(2):
        ask(acme)
        acme.client.post("/deletion/withdraw")
    ask(acme)
    assert deletion_of(acme).due_at - now() > timedelta(days=get_settings().deletion_grace_days, minutes=-1)


def test_in_the_days_of_grace_nothing_is_destroyed(acme):
    ask(acme)
    periodic.destroy_tenants()
    assert tenant_of(acme).status is TenantStatus.DELETING
    assert tenant_of(acme).wrapped_data_key


def test_only_admins_of_the_tenant_may_ask(acme, member, admin):
    for role in (Role.DEVELOPER, Role.FINANCE, Role.VIEWER):
        assert member(role).client.post("/deletion", data={"name": "x"}).status_code == 403


def test_staff_delete_and_keep_a_suspended_tenant_as_it_was(acme, staff):
    operator = staff(StaffRole.ADMIN).client
    path = f"/operator/tenants/{id_of(acme)}"
    operator.post(f"{path}/suspend", data={"reason": "Unpaid."})
    assert operator.post(f"{path}/delete", data={"name": "Acme"}).status_code == 422
    assert operator.post(f"{path}/delete", data={"name": "Acme Ltd"}).status_code == 303
    assert "Keep the tenant" in operator.get(path).get_data(as_text=True)
    assert operator.get(f"{path}/certificate").status_code == 404
    operator.post(f"{path}/keep")
    assert tenant_of(acme).status is TenantStatus.SUSPENDED


@pytest.fixture
def destroyed(acme, admin, staff):
    """Acme with one of everything, destroyed; `admin`'s tenant has the same and stays."""
    world = build_world(acme.scope)
    build_world(admin.scope)
    with tenant_session(acme.scope) as session:
        invite(session, acme.scope, INVITED, Role.VIEWER)
        session.add(
            UsageFact(
                tenant_id=id_of(acme),
                request_id="of-a-model",
                kind=UsageKind.PREDICTION,
                quantity=7,
                source=UsageSource.API,
                model_id=world.arguments["model_id"],
                adapter_id=world.arguments["adapter_id"],
                api_key_id=world.arguments["key_id"],
                job_id=world.arguments["job_id"],
                occurred_at=now(),
            )
        )
        session.commit()
    with operator_session("test") as session:
        session.execute(
            update(Invoice)
            .where(Invoice.tenant_id == id_of(acme))
            .values(marked_by=EMAIL, note=f"{EMAIL} has paid.")
        )
        session.commit()
    enqueue(Queue.DATASETS, "training.data.tasks.check", str(id_of(acme)), "version", timeout=60)
    enqueue(Queue.DATASETS, "training.data.tasks.check", str(id_of(admin)), "version", timeout=60)
    ask(acme)
    end_grace(acme)
    return acme


def test_every_table_is_emptied_or_kept_for_a_stated_reason(destroyed, admin):
    before, others = count_rows(destroyed), count_rows(admin)
    periodic.destroy_tenants()
    after = count_rows(destroyed)
    for table in TENANT_OWNED:
        assert after[table] == (before[table] if table in destruction.KEPT else 0), table
    assert after["usage_facts"] >= 2
    assert after["invoices"] == after["credit_notes"] == 1
    assert count_rows(admin) == others
    told = {row["table"]: row for row in certificate_of(destroyed)["tables"]}
    assert sorted(told) == TENANT_OWNED
    for table, row in told.items():
        assert (row["fate"] == "kept") == (table in destruction.KEPT), table
        assert row["rows"] == before[table], table


def test_every_table_with_amounts_is_kept_as_books(services):
    with operator_engine().connect() as connection:
        inspector = inspect(connection)
        for table in set(TENANT_OWNED) - NO_BOOKS:
            if any(column["name"].endswith("_cents") for column in inspector.get_columns(table)):
                assert table in destruction.KEPT


def test_no_table_holds_the_persons_of_a_destroyed_tenant(destroyed):
    assert {"users", "invoices", "audit_events"} <= {*tables_that_hold(EMAIL), *tables_that_hold(INVITED)}
    periodic.destroy_tenants()
    for value in (EMAIL, INVITED, "Byron-King"):
        assert tables_that_hold(value) == [], value


def test_kept_facts_are_of_no_model_key_or_job(destroyed):
    periodic.destroy_tenants()
    with operator_session("test") as session:
        facts = session.scalars(select(UsageFact).where(UsageFact.tenant_id == id_of(destroyed))).all()
    assert 7 in {fact.quantity for fact in facts}
    for fact in facts:
        assert (fact.model_id, fact.adapter_id, fact.api_key_id, fact.job_id) == (None,) * 4
        assert fact.request_id == f"deleted:{fact.id}"


def test_key_blobs_and_queue_entries_are_gone_and_nobody_signs_in(destroyed, admin, client):
    assert blob_store().sizes(id_of(destroyed))
    periodic.destroy_tenants()
    assert blob_store().sizes(id_of(destroyed)) == {}
    assert blob_store().sizes(id_of(admin))
    with operator_session("test") as session, pytest.raises(KeyRejected, match="destroyed"):
        tenant_key(session, id_of(destroyed))
    assert [job.args[0] for job in rq_queue(Queue.DATASETS).jobs] == [str(id_of(admin))]
    assert destroyed.client.get("/models").location.startswith("/login")
    assert client.post("/login", data={"email": EMAIL, "password": PASSWORD}).status_code != 303


@pytest.mark.parametrize("step", ["delete_all", "drop_entries", "sign"])
def test_a_destruction_that_is_cut_off_goes_on(destroyed, monkeypatch, step):
    class Killed(BaseException):
        pass

    def die(*_args):
        raise Killed

    with monkeypatch.context() as patch:
        if step == "delete_all":
            patch.setattr(type(blob_store()), step, die)
        else:
            patch.setattr(destruction, step, die)
        with pytest.raises(Killed):
            periodic.destroy_tenants()
    assert tenant_of(destroyed).wrapped_data_key == b""  # already, and for good
    assert deletion_of(destroyed).destroyed_at is None
    for _ in range(2):
        periodic.destroy_tenants()
    certificate = certificate_of(destroyed)
    assert certificate["destroyed"]["blobs"] == 1
    assert blob_store().sizes(id_of(destroyed)) == {}
    assert count_rows(destroyed)["users"] == 0


def test_it_is_too_late_once_the_key_is_gone(destroyed, staff):
    operator = staff(StaffRole.ADMIN).client
    periodic.destroy_tenants()
    operator.post(f"/operator/tenants/{id_of(destroyed)}/keep")
    assert tenant_of(destroyed).status is TenantStatus.DELETED


def test_staff_get_a_certificate_that_shows_a_change(destroyed, staff):
    periodic.destroy_tenants()
    operator = staff(StaffRole.FINANCE).client
    path = f"/operator/tenants/{id_of(destroyed)}"
    assert "Certificate" in operator.get(path).get_data(as_text=True)
    paper = json.loads(operator.get(f"{path}/certificate").get_data(as_text=True))
    key = get_settings().master_key
    assert destruction.is_genuine(key, paper["certificate"], paper["signature"])
    paper["certificate"]["destroyed"]["blobs"] += 1
    assert not destruction.is_genuine(key, paper["certificate"], paper["signature"])


def test_the_database_destroys_no_tenant_that_is_not_due(acme):
    ask(acme)
    with operator_session("test") as session, pytest.raises(Exception, match="not due to be destroyed"):
        session.execute(text("SELECT * FROM destroy_tenant_rows(:id)"), {"id": id_of(acme)})
    with tenant_session(acme.scope) as session, pytest.raises(Exception, match="permission denied"):
        session.execute(text("SELECT * FROM destroy_tenant_rows(:id)"), {"id": id_of(acme)})
