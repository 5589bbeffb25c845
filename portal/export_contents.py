"""What is in an export: rows as JSON Lines, files as they are; no secret of anybody's."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Row, Table, select
from sqlalchemy.orm import Session

from core.file_names import filename_of
from core.models.all import Base
from core.models.datasets import DatasetVersion
from core.models.files import ApiFile
from core.models.models import Adapter
from core.models.privacy import PrivacyPolicy
from core.privacy.sealed_lists import open_lists
from core.storage import TenantKey
from training.data.sources import open_source

TABLES = (
    "adapters",
    "api_files",
    "api_key_models",
    "api_keys",
    "audit_events",
    "batches",
    "budgets",
    "credit_entries",
    "credit_grants",
    "credit_notes",
    "dataset_versions",
    "datasets",
    "fine_tune_jobs",
    "fine_tune_requests",
    "invoice_lines",
    "invoices",
    "job_log_lines",
    "job_metrics",
    "models",
    "payments",
    "privacy_policies",
    "subscriptions",
    "usage_facts",
    "user_passkeys",
    "users",
)

# Where a column may be a secret, those that are not are named, so that a new one stays at home.
_COLUMNS = {
    "users": (
        "id",
        "created_at",
        "email",
        "email_verified_at",
        "name",
        "role",
        "last_login_at",
        "deactivated_at",
    ),
    "user_passkeys": ("id", "created_at", "user_id", "name", "last_used_at"),
    "api_keys": (
        "id",
        "created_at",
        "name",
        "prefix",
        "may_predict",
        "may_manage",
        "is_limited_to_models",
        "endpoints",
        "networks",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ),
}
_SECRETS = {"lease_token", "tenant_id"}
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class StoredFile:
    """A blob of the tenant's, and the name that it has in the archive; without a digest it is not compared."""

    name: str
    blob: str
    digest: str | None


def rows(session: Session, key: TenantKey, table_name: str) -> Iterator[bytes]:
    """A table's rows of the session's tenant, whose key is `key`, each a line of JSON, oldest first; streamed."""
    table = Base.metadata.tables[table_name]
    names = [column.name for column in _columns(table)]
    found = session.execute(
        select(table).order_by(table.c.created_at, table.c.id).execution_options(yield_per=_ROWS_AT_ONCE)
    )
    for row in found:
        values = {name: row._mapping[name] for name in names}
        if table_name in _SEALED:
            values |= _SEALED[table_name](key, row)
        yield json.dumps(values, default=_plain, ensure_ascii=False).encode() + b"\n"


def files(session: Session) -> list[StoredFile]:
    """The tenant's files: datasets' rows, adapters' weights, and what its apps sent and were sent."""
    versions = session.execute(
        select(DatasetVersion.id, DatasetVersion.blob, DatasetVersion.digest).where(
            DatasetVersion.blob.is_not(None)
        )
    )
    adapters = session.execute(select(Adapter.id, Adapter.blob, Adapter.digest))
    sent = session.execute(
        select(ApiFile.id, ApiFile.blob, ApiFile.digest).where(ApiFile.deleted_at.is_(None))
    )
    return [
        *(StoredFile(f"datasets/{id_}.jsonl", blob, digest) for id_, blob, digest in versions if blob),
        *(StoredFile(f"adapters/{id_}.safetensors", blob, digest) for id_, blob, digest in adapters),
        *(StoredFile(f"files/{id_}", blob, digest) for id_, blob, digest in sent),
    ]


def _columns(table: Table) -> list[Any]:
    named = _COLUMNS.get(table.name)
    return [
        column
        for column in table.columns
        if (named is None or column.name in named)
        and column.name not in _SECRETS
        and not isinstance(column.type, LargeBinary)
    ]


def _listed_values(key: TenantKey, policy: Row[Any]) -> dict[str, list[str]]:
    allowed, denied = open_lists(key, policy.version, policy.sealed_lists)
    return {"allow_list": sorted(allowed), "deny_list": sorted(denied)}


def _filename(key: TenantKey, file: Row[Any]) -> dict[str, str]:
    return {"filename": filename_of(key, file)}


def _source(key: TenantKey, version: Row[Any]) -> dict[str, Any]:
    source = open_source(key, version)
    return {
        "filename": source.filename,
        "columns": source.columns,
        "mapping": source.mapping and source.mapping.to_json(),
    }


# What the database holds sealed, opened: it is the tenant's, and has a name of its own in an export.
_SEALED: dict[str, Callable[[TenantKey, Row[Any]], dict[str, Any]]] = {
    PrivacyPolicy.__tablename__: _listed_values,
    ApiFile.__tablename__: _filename,
    DatasetVersion.__tablename__: _source,
}


def _plain(value: object) -> str:
    match value:
        case datetime() | date():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
    raise TypeError(f"An export has no way to write a {type(value).__name__}.")
