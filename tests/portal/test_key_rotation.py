"""Another master key: what was written before reads after, and nothing stops in between."""

import dataclasses
import json
import os
from types import ModuleType

import pytest
from sqlalchemy import select, update

from core import config, storage
from core.clock import now
from core.config import get_settings
from core.crypto import KeyRejected
from core.db import operator_session
from core.models.audit import StaffEvent
from core.models.tenants import Tenant, TenantDeletion
from core.storage import blob_store, tenant_key
from core.tenancy import Actor, ActorKind
from portal import accounts, deletion, destruction, key_rotation

OLD, NEW = get_settings().master_key, os.urandom(32)
STAFF = Actor(ActorKind.STAFF, None, "staff")
SETTLED: list[ModuleType] = [config, storage, accounts, deletion, destruction, key_rotation]


@pytest.fixture
def deploy(monkeypatch):
    """`deploy(master_key, old)`: this process, started again with these keys."""

    def deploy(master_key: bytes, old: bytes = b"") -> None:
        settings = dataclasses.replace(get_settings(), master_key=master_key, master_key_old=old)
        for module in SETTLED:
            monkeypatch.setattr(module, "get_settings", lambda: settings)

    return deploy


@pytest.fixture
def rotate(portal):
    def rotate():
        result = portal.test_cli_runner().invoke(args=["keys", "rotate"])
        return json.loads(result.output) if result.exit_code == 0 else result.output

    return rotate


def write(tenant: Tenant, data: bytes) -> None:
    with operator_session("test") as session:
        blob_store().put(tenant_key(session, tenant.id), "files/one", data)


def read(tenant: Tenant) -> bytes:
    with operator_session("test") as session:
        return blob_store().get(tenant_key(session, tenant.id), "files/one")


def test_every_step_of_a_rotation_reads_what_was_written_before(make_tenant, deploy, rotate):
    before = make_tenant()
    write(before, b"before")
    deploy(OLD, NEW)
    assert read(before) == b"before"
    deploy(NEW, OLD)
    assert read(before) == b"before"
    between = make_tenant()
    write(between, b"between")
    deploy(OLD, NEW)  # a process that is not restarted yet
    assert read(between) == b"between"
    deploy(NEW, OLD)
    assert rotate() == {"rotated": 1, "kept": 1, "signed": 0}
    assert rotate() == {"rotated": 0, "kept": 2, "signed": 0}
    deploy(NEW)
    assert (read(before), read(between)) == (b"before", b"between")
    deploy(OLD)
    with pytest.raises(KeyRejected, match="MASTER_KEY"):
        read(before)


def test_a_rotation_that_meets_a_key_it_cannot_open_changes_nothing(make_tenant, deploy, rotate):
    tenants = [make_tenant() for _ in range(3)]
    wrapped = {tenant.id: tenant.wrapped_data_key for tenant in tenants}
    deploy(NEW, os.urandom(32))
    assert "Nothing was changed." in rotate()
    with operator_session("test") as session:
        assert {row.id: row.wrapped_data_key for row in session.scalars(select(Tenant))} == wrapped


def test_a_rotation_leaves_destroyed_keys_destroyed_and_signs_certificates_anew(make_tenant, deploy, rotate):
    tenant = make_tenant()
    with operator_session("test") as session:
        deletion.request_deletion(session, STAFF, tenant.id, tenant.name)
        session.execute(update(TenantDeletion).values(due_at=now()))
        session.commit()
        destruction.destroy(session, tenant.id)
    deploy(NEW, OLD)
    assert rotate() == {"rotated": 0, "kept": 0, "signed": 1}
    with operator_session("test") as session:
        row = session.scalars(select(TenantDeletion)).one()
        assert session.get_one(Tenant, tenant.id).wrapped_data_key == b""
    assert row.certificate is not None
    assert row.signature is not None
    assert destruction.is_genuine(NEW, row.certificate, row.signature)
    assert not destruction.is_genuine(OLD, row.certificate, row.signature)


def test_a_rotation_is_in_the_operators_log(make_tenant, deploy, rotate):
    make_tenant()
    deploy(NEW, OLD)
    rotate()
    with operator_session("test") as session:
        event = session.scalars(select(StaffEvent).where(StaffEvent.action == "keys.rotated")).one()
    assert event.detail == {"rotated": 1, "kept": 0, "signed": 0}
