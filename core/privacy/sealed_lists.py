"""The values that a policy names, as the database holds them: sealed under their tenant's key.

They may be people's, and stand in no table, log or backup in plain. To open some ten of them takes some ten
microseconds, so that nothing keeps them open.
"""

import json
from collections.abc import Collection

from core.crypto import TenantKey, derive_key, seal, unseal

Lists = tuple[frozenset[str], frozenset[str]]
"""The values that are never replaced, and those that always are."""

_NONE: Lists = (frozenset(), frozenset())


def seal_lists(
    key: TenantKey, version: int, allowed: Collection[str], denied: Collection[str]
) -> bytes | None:
    """The lists of the tenant's policy `version`, for `open_lists`; None where they are empty."""
    if not allowed and not denied:
        return None
    data = json.dumps([sorted(allowed), sorted(denied)]).encode()
    return seal(_list_key(key), data, _binding(version))


def open_lists(key: TenantKey, version: int, sealed: bytes | None) -> Lists:
    """What was sealed. Raises KeyRejected where the key or the version is another."""
    if sealed is None:
        return _NONE
    allowed, denied = json.loads(unseal(_list_key(key), sealed, _binding(version)))
    return frozenset(allowed), frozenset(denied)


def _list_key(key: TenantKey) -> bytes:
    return derive_key(key.data_key, "privacy policy lists")


def _binding(version: int) -> bytes:
    return b"adaptary privacy policy lists v1" + version.to_bytes(8)
