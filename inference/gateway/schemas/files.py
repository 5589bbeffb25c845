"""The bodies of /v1/files."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from core.file_names import filename_of
from core.models.files import ApiFile, FilePurpose
from core.storage import TenantKey
from inference.gateway.public_ids import Prefix, public_id
from inference.gateway.schemas.paging import Page, PageQuery

MOST_FILES_ON_A_PAGE = 10_000


class FileForm(BaseModel):
    """A file in JSON Lines, and what it is for."""

    purpose: Literal["fine-tune", "batch"]
    file: Annotated[str, WithJsonSchema({"type": "string", "format": "binary"})]


class FileQuery(PageQuery):
    """Which files to list, and in which order of their making."""

    limit: int = Field(MOST_FILES_ON_A_PAGE, ge=1, le=MOST_FILES_ON_A_PAGE)
    purpose: FilePurpose | None = None
    order: Literal["asc", "desc"] = "desc"


class FileObject(BaseModel):
    """A file. `created_at` is in seconds since the epoch; `digest` is the SHA-256 of its content in hex."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: FilePurpose
    status: Literal["processed"] = "processed"
    digest: str

    @classmethod
    def of(cls, key: TenantKey, file: ApiFile) -> "FileObject":
        return cls(
            id=public_id(Prefix.FILE, file.id),
            bytes=file.size_bytes,
            created_at=int(file.created_at.timestamp()),
            filename=filename_of(key, file),
            purpose=file.purpose,
            digest=file.digest,
        )


class FileList(Page):
    data: list[FileObject]
