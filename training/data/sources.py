"""What is known of an upload besides its rows: how its file is named and read, and its columns.

All of them may be anybody's words (a column that is named after a customer), so the version's row holds them sealed.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from core.crypto import TenantKey
from core.models.datasets import DatasetVersion
from core.sealed import Sealer
from core.storage import tenant_key
from training.data.columns import ColumnMapping
from training.data.readers import Reading


@dataclass(frozen=True, slots=True)
class Source:
    """`mapping` is the guess, until somebody has chosen. A version that was made without a file has nothing of it."""

    filename: str = ""
    columns: list[str] = field(default_factory=list)
    reading: Reading | None = None
    mapping: ColumnMapping | None = None


def seal_source(key: TenantKey, version: DatasetVersion, source: Source) -> bytes:
    """For the column `sealed_source` of the version, whose id is set."""
    return _sealer(key).seal(
        version.id,
        {
            "filename": source.filename,
            "columns": source.columns,
            "reading": source.reading and source.reading.to_json(),
            "mapping": source.mapping and source.mapping.to_json(),
        },
    )


def source_of(session: Session, version: DatasetVersion) -> Source:
    """What the version's row holds sealed. Raises KeyRejected where the tenant's key does not open it."""
    return open_source(tenant_key(session, version.tenant_id), version)


def open_source(key: TenantKey, version: DatasetVersion | Row[Any]) -> Source:
    """The same, with the tenant's key at hand."""
    if version.sealed_source is None:
        return Source()
    value = _sealer(key).open(version.id, version.sealed_source)
    return Source(
        value["filename"],
        value["columns"],
        value["reading"] and Reading.from_json(value["reading"]),
        value["mapping"] and ColumnMapping.from_json(value["mapping"]),
    )


def mapping_of(session: Session, version: DatasetVersion) -> ColumnMapping:
    """The version's columns: the guess, until somebody has chosen."""
    mapping = source_of(session, version).mapping
    assert mapping is not None
    return mapping


def reading_of(session: Session, version: DatasetVersion) -> Reading:
    """How the version's file is read."""
    reading = source_of(session, version).reading
    assert reading is not None
    return reading


def _sealer(key: TenantKey) -> Sealer:
    return Sealer(key, "dataset_versions.sealed_source")
