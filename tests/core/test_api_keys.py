"""API keys: their form, and who they let in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core import api_keys
from core.clock import now
from core.db import operator_session, tenant_session
from core.models.api_keys import ApiKey
from core.models.tenants import Tenant, TenantStatus
from core.tenancy import Permission, system_scope


def test_generated_keys_are_well_formed_and_differ():
    keys = {api_keys.generate() for _ in range(100)}
    assert len(keys) == 100
    assert all(api_keys.is_well_formed(key) for key in keys)


@given(st.integers(8, 45), st.sampled_from("0aZ_ é"))
def test_a_key_with_one_character_changed_is_malformed(position, character):
    key = api_keys.generate()
    changed = key[:position] + character + key[position + 1 :]
    assert changed == key or not api_keys.is_well_formed(changed)


@given(st.text())
def test_no_other_text_is_well_formed(text):
    assert not api_keys.is_well_formed(text)


@pytest.fixture
def key(make_tenant):
    """(tenant id, key id, plain key)"""
    tenant = make_tenant()
    with tenant_session(system_scope(tenant.id, "test")) as session:
        row, plain = api_keys.create(session, session.scope, "test")
        session.commit()
    return tenant.id, row.id, plain


def verify(plain):
    with operator_session("test") as session:
        return api_keys.verify(session, plain)


def test_a_key_opens_its_own_tenant_to_predict(key):
    tenant_id, key_id, plain = key
    verified = verify(plain)
    assert verified.id == key_id
    assert verified.scope.tenant_id == tenant_id
    assert verified.scope.allows(Permission.PREDICT)
    assert not verified.scope.allows(Permission.KEYS_WRITE)


def test_the_plain_key_is_not_in_the_database(key):
    _, key_id, plain = key
    with operator_session("test") as session:
        row = session.get_one(ApiKey, key_id)
        assert plain.encode() not in row.digest
        assert plain.startswith(row.prefix)
        assert len(row.prefix) < len(plain) / 2


def test_an_unknown_key_is_refused(key):
    with pytest.raises(api_keys.InvalidApiKey, match="No such"):
        verify(api_keys.generate())


def test_a_revoked_key_is_refused(key):
    tenant_id, key_id, plain = key
    with tenant_session(system_scope(tenant_id, "test")) as session:
        api_keys.revoke(session, session.scope, session.get_one(ApiKey, key_id))
        session.commit()
    with pytest.raises(api_keys.InvalidApiKey, match="revoked"):
        verify(plain)


def test_a_suspended_tenants_key_is_refused(key):
    tenant_id, _, plain = key
    with operator_session("test") as session:
        session.get_one(Tenant, tenant_id).status = TenantStatus.SUSPENDED
        session.commit()
    with pytest.raises(api_keys.TenantSuspended):
        verify(plain)


def test_last_use_is_written_once_a_minute(key):
    tenant_id, key_id, _ = key
    first = now()
    with tenant_session(system_scope(tenant_id, "test")) as session:
        for offset, expected in ((0, 0), (30, 0), (61, 61)):
            api_keys.touch(session, key_id, first + api_keys.LAST_USED_RESOLUTION * (offset / 60))
            last = session.scalar(select(ApiKey.last_used_at).where(ApiKey.id == key_id))
            assert last is not None
            assert round((last - first).total_seconds()) == expected
