"""What may be people's words is sealed under its tenant's key: lists of privacy policies, names of files and columns."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from core.crypto import TenantKey
from core.privacy.sealed_lists import seal_lists
from core.sealed import Sealer
from core.storage import open_tenant_key

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    _replace(
        "privacy_policies",
        ("allow_list", "deny_list"),
        "sealed_lists",
        lambda key, row: seal_lists(key, row.version, row.allow_list, row.deny_list),
    )
    _replace(
        "api_files",
        ("filename",),
        "sealed_filename",
        lambda key, row: Sealer(key, "api_files.sealed_filename").seal(row.id, row.filename),
        lost=b"",
    )


    _replace("dataset_versions", ("filename", "columns", "mapping"), "sealed_source", _seal_source)
    op.drop_column("dataset_versions", "preview")  # which nothing has ever written


def _seal_source(key: TenantKey, row: Any) -> bytes:
    mapping = dict(row.mapping or {})
    source = {
        "filename": row.filename,
        "columns": row.columns or [],
        "reading": mapping.pop("reading", None),
        "mapping": mapping or None,
    }
    return Sealer(key, "dataset_versions.sealed_source").seal(row.id, source)


def _replace(
    table: str,
    columns: tuple[str, ...],
    sealed: str,
    seal: Callable[[TenantKey, Any], bytes | None],
    lost: bytes | None = None,
) -> None:
    """Put what `seal` makes of `columns` into the column `sealed`, which takes MASTER_KEY where there is anything, and
    drop them. `lost` is for rows of a tenant whose key is destroyed; where it is None, the new column may be null."""
    op.add_column(table, sa.Column(sealed, sa.LargeBinary(), nullable=True))
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(f"SELECT r.*, t.wrapped_data_key FROM {table} r JOIN tenants t ON t.id = r.tenant_id")
    )
    for row in rows.all():
        value = seal(open_tenant_key(row.tenant_id, row.wrapped_data_key), row) if row.wrapped_data_key else lost
        connection.execute(
            sa.text(f"UPDATE {table} SET {sealed} = :value WHERE id = :id"), {"value": value, "id": row.id}
        )
    for column in columns:
        op.drop_column(table, column)
    if lost is not None:
        op.alter_column(table, sealed, nullable=False)
    # Written anew without the dropped columns: else the values would lie in the table's file until it is vacuumed.
    op.execute(f"CLUSTER {table} USING pk_{table}")
    op.execute(f"ALTER TABLE {table} SET WITHOUT CLUSTER")
