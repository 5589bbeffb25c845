"""Keys: one data key per tenant, wrapped by the master key, and what is derived from it.

Only the wrapped form is stored. To lose the master key is to lose every tenant's data; to destroy a tenant's
wrapped key is to destroy that tenant's.
"""

import os
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12
# The first byte of a wrapped key says how it is wrapped, so that another way can come beside this one.
_WRAPPED_V1 = b"\x01"
_WRAPPED_BYTES = len(_WRAPPED_V1) + _NONCE_BYTES + KEY_BYTES + 16


class KeyRejected(Exception):
    """A wrapped data key does not open: it is damaged, another tenant's, or under another master key."""


@dataclass(frozen=True, slots=True)
class TenantKey:
    """A tenant's data key, 32 bytes, in the clear: it stays in memory and out of every `repr`."""

    tenant_id: UUID
    data_key: bytes = field(repr=False)


def new_data_key(master_key: bytes, tenant_id: UUID) -> bytes:
    """A fresh data key for a new tenant, wrapped under `master_key` (32 bytes): store what is returned."""
    return wrap(master_key, TenantKey(tenant_id, os.urandom(KEY_BYTES)))


def wrap(master_key: bytes, key: TenantKey) -> bytes:
    """A data key wrapped under `master_key` (32 bytes); its blobs stay as they are."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(master_key).encrypt(nonce, key.data_key, _binding(key.tenant_id))
    return _WRAPPED_V1 + nonce + sealed


def unwrap(master_key: bytes, tenant_id: UUID, wrapped: bytes) -> TenantKey:
    """The data key of `tenant_id` from its `wrapped` form. Raises KeyRejected."""
    if not wrapped:
        raise KeyRejected(f"The data key of tenant {tenant_id} was destroyed.")
    if len(wrapped) != _WRAPPED_BYTES or not wrapped.startswith(_WRAPPED_V1):
        raise KeyRejected(f"The data key of tenant {tenant_id} is damaged.")
    nonce, sealed = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
    try:
        data_key = AESGCM(master_key).decrypt(nonce, sealed, _binding(tenant_id))
    except InvalidTag:
        raise KeyRejected(
            f"The data key of tenant {tenant_id} does not open: check that MASTER_KEY is the one it was made with."
        ) from None
    return TenantKey(tenant_id, data_key)


def seal(key: bytes, data: bytes, binding: bytes) -> bytes:
    """`data` encrypted under `key` (32 bytes, AES-256-GCM); it opens only together with the same `binding`."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, binding)


def unseal(key: bytes, sealed: bytes, binding: bytes) -> bytes:
    """The data that `seal` was given. Raises KeyRejected where the key, the binding or the data is another."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], binding)
    except (InvalidTag, ValueError):
        raise KeyRejected(
            "Sealed data does not open: it is damaged, or was put in another's place."
        ) from None


def derive_key(key: bytes, purpose: str, salt: bytes | None = None) -> bytes:
    """32 bytes from `key` that are good for `purpose` only (HKDF-SHA256): no key serves two ends."""
    return HKDF(SHA256(), KEY_BYTES, salt, purpose.encode()).derive(key)


def _binding(tenant_id: UUID) -> bytes:
    return b"adaptary data key v1" + tenant_id.bytes
