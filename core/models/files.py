"""Files that a tenant's apps send over the API, and those that batches leave for them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, StrEnumColumn, TenantOwned


class FilePurpose(StrEnum):
    """What a file is for, by the names that OpenAI's API gives them."""

    FINE_TUNE = "fine-tune"
    BATCH = "batch"
    BATCH_OUTPUT = "batch_output"


class ApiFile(TenantOwned, Base):
    """A file as it came. Once `deleted_at` is set its blob is gone, and the row stays for what was made from it.

    People's names are in names of files: core/file_names.py reads `sealed_filename`.
    """

    __tablename__ = "api_files"

    sealed_filename: Mapped[bytes] = mapped_column(LargeBinary)
    purpose: Mapped[FilePurpose] = mapped_column(StrEnumColumn(FilePurpose))
    size_bytes: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    blob: Mapped[str] = mapped_column(String(255))
    deleted_at: Mapped[datetime | None]

    @classmethod
    def constraints(cls) -> tuple[Any, ...]:
        return (Index(None, "tenant_id", "created_at"),)
