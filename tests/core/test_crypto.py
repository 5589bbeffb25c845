"""Tenants' keys: wrapped under the master key, bound to their tenant."""

import os
from uuid import uuid4

import pytest

from core.crypto import KeyRejected, TenantKey, derive_key, new_data_key, unwrap

MASTER_KEY = os.urandom(32)


def test_a_wrapped_key_opens_for_its_tenant():
    tenant_id = uuid4()

    wrapped = new_data_key(MASTER_KEY, tenant_id)

    key = unwrap(MASTER_KEY, tenant_id, wrapped)
    assert key.tenant_id == tenant_id
    assert len(key.data_key) == 32
    assert key.data_key not in wrapped


def test_every_tenant_gets_a_key_of_its_own():
    tenant_id = uuid4()

    keys = {unwrap(MASTER_KEY, tenant_id, new_data_key(MASTER_KEY, tenant_id)).data_key for _ in range(50)}

    assert len(keys) == 50


def test_another_tenants_wrapped_key_is_refused():
    wrapped = new_data_key(MASTER_KEY, uuid4())

    with pytest.raises(KeyRejected):
        unwrap(MASTER_KEY, uuid4(), wrapped)


def test_another_master_key_is_refused_and_the_message_says_what_to_check():
    tenant_id = uuid4()
    wrapped = new_data_key(MASTER_KEY, tenant_id)

    with pytest.raises(KeyRejected, match="MASTER_KEY"):
        unwrap(os.urandom(32), tenant_id, wrapped)


def test_a_wrapped_key_with_any_byte_changed_is_refused():
    tenant_id = uuid4()
    wrapped = new_data_key(MASTER_KEY, tenant_id)

    for position in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[position] ^= 1
        with pytest.raises(KeyRejected):
            unwrap(MASTER_KEY, tenant_id, bytes(damaged))


@pytest.mark.parametrize("wrapped", [b"", b"\x01", os.urandom(200)], ids=["empty", "a byte", "random bytes"])
def test_what_is_no_wrapped_key_is_refused(wrapped):
    with pytest.raises(KeyRejected):
        unwrap(MASTER_KEY, uuid4(), wrapped)


def test_a_key_does_not_show_itself():
    key = TenantKey(uuid4(), b"secret" * 6)

    assert "secret" not in repr(key)


def test_derived_keys_differ_by_key_purpose_and_salt():
    key, other = os.urandom(32), os.urandom(32)

    derived = {
        derive_key(key, "a"),
        derive_key(key, "b"),
        derive_key(key, "a", b"salt"),
        derive_key(other, "a"),
        key,
    }

    assert len(derived) == 5
    assert derive_key(key, "a") == derive_key(key, "a")
