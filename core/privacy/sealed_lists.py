"""The values that a policy names, which may be people's, as its row holds them: sealed.

To open some ten of them takes some ten microseconds, so that nothing keeps them open.
"""

from collections.abc import Collection

from core.crypto import TenantKey
from core.sealed import Sealer

Lists = tuple[frozenset[str], frozenset[str]]
"""The values that are never replaced, and those that always are."""

_NONE: Lists = (frozenset(), frozenset())


def seal_lists(
    key: TenantKey, version: int, allowed: Collection[str], denied: Collection[str]
) -> bytes | None:
    """The lists of the tenant's policy `version`, for `open_lists`; None where they are empty."""
    if not allowed and not denied:
        return None
    return _sealer(key).seal(version, [sorted(allowed), sorted(denied)])


def open_lists(key: TenantKey, version: int, sealed: bytes | None) -> Lists:
    """What was sealed. Raises KeyRejected where the key or the version is another."""
    if sealed is None:
        return _NONE
    allowed, denied = _sealer(key).open(version, sealed)
    return frozenset(allowed), frozenset(denied)


def _sealer(key: TenantKey) -> Sealer:
    return Sealer(key, "privacy_policies.sealed_lists")
