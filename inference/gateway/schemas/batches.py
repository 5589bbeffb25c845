"""The bodies of /v1/batches, and the lines of their input files, in OpenAI's shape."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.models.batches import Batch, BatchStatus
from inference.gateway.public_ids import Prefix, public_id
from inference.gateway.schemas.metadata import Metadata
from inference.gateway.schemas.paging import Page

Endpoint = Literal["/v1/chat/completions", "/v1/embeddings", "/v1/classify", "/v1/tag"]


class BatchRequest(BaseModel):
    """The file with the requests, and where each of them would be sent."""

    model_config = ConfigDict(strict=True, extra="forbid")

    input_file_id: str = Field(max_length=64)
    endpoint: Endpoint
    completion_window: Literal["24h"]
    metadata: Metadata | None = None


class BatchLine(BaseModel):
    """A line of an input file. Its `custom_id` comes back with its answer."""

    model_config = ConfigDict(strict=True, extra="forbid")

    custom_id: str = Field(min_length=1, max_length=200)
    method: Literal["POST"]
    url: Endpoint
    body: dict[str, Any]


class BatchProblem(BaseModel):
    """Why a batch failed; `line` counts from 1."""

    code: str
    message: str
    line: int | None
    param: str | None = None


class BatchProblems(BaseModel):
    object: Literal["list"] = "list"
    data: list[BatchProblem]


class RequestCounts(BaseModel):
    total: int
    completed: int
    failed: int


class BatchObject(BaseModel):
    """A batch. Times are in seconds since the epoch; the files are there once it has ended."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    input_file_id: str
    output_file_id: str | None
    error_file_id: str | None
    completion_window: str
    status: BatchStatus
    errors: BatchProblems | None
    request_counts: RequestCounts
    metadata: dict[str, str] | None
    created_at: int
    in_progress_at: int | None
    cancelling_at: int | None
    completed_at: int | None
    failed_at: int | None
    cancelled_at: int | None
    expired_at: int | None
    expires_at: int

    @classmethod
    def of(cls, batch: Batch) -> "BatchObject":
        def ended(status: BatchStatus) -> int | None:
            return _seconds(batch.finished_at) if batch.status is status else None

        problem = None
        if batch.error is not None:
            problem = BatchProblem(code="invalid_batch", message=batch.error, line=batch.error_line)
        return cls(
            id=public_id(Prefix.BATCH, batch.id),
            endpoint=batch.endpoint,
            input_file_id=public_id(Prefix.FILE, batch.input_file_id),
            output_file_id=public_id(Prefix.FILE, batch.output_file_id) if batch.output_file_id else None,
            error_file_id=public_id(Prefix.FILE, batch.error_file_id) if batch.error_file_id else None,
            completion_window=batch.completion_window,
            status=batch.status,
            errors=BatchProblems(data=[problem]) if problem else None,
            request_counts=RequestCounts(total=batch.total, completed=batch.completed, failed=batch.failed),
            metadata=batch.client_metadata,
            created_at=int(batch.created_at.timestamp()),
            in_progress_at=_seconds(batch.started_at),
            cancelling_at=_seconds(batch.cancelling_at),
            completed_at=ended(BatchStatus.COMPLETED),
            failed_at=ended(BatchStatus.FAILED),
            cancelled_at=ended(BatchStatus.CANCELLED),
            expired_at=ended(BatchStatus.EXPIRED),
            expires_at=int(batch.expires_at.timestamp()),
        )


class BatchList(Page):
    data: list[BatchObject]


def _seconds(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None
