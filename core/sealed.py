"""Values in rows that may be anybody's words, such as the name of a file: sealed under their tenant's key.

The database then holds them as it holds no text: who reads its tables, its logs or its backups, and has not the
master key, learns nothing of them, and they are gone with the tenant's key.
"""

import json
from typing import Any
from uuid import UUID

from core.crypto import TenantKey, derive_key, seal, unseal


class Sealer:
    """Seals values for one column ("api_files.sealed_filename") of a tenant's rows, and opens them.

    What is sealed for a row, named by its id or by its number among the tenant's, opens for that row alone.
    """

    def __init__(self, key: TenantKey, column: str) -> None:
        self._key = derive_key(key.data_key, f"sealed values of {column}")

    def seal(self, row: UUID | int, value: Any) -> bytes:
        """Anything that JSON can hold, for the column of the row."""
        return seal(self._key, json.dumps(value).encode(), _binding(row))

    def open(self, row: UUID | int, sealed: bytes) -> Any:
        """What was sealed. Raises KeyRejected where the key, the column or the row is another."""
        return json.loads(unseal(self._key, sealed, _binding(row)))


def _binding(row: UUID | int) -> bytes:
    return row.bytes if isinstance(row, UUID) else row.to_bytes(8)
