"""A batch's lines: read from its file, and each answered once, whatever worker dies on the way.

An answer is kept, sealed, in the transaction that bills it, under an id that follows from the batch and the line's
number. Who comes to the same line again finds it there.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.models.kept_answers import KeptAnswer
from core.models.usage import UsageSource
from core.tenancy import TenantScope
from inference.gateway import kept_answers
from inference.gateway.batches.endpoints import CALLS
from inference.gateway.bodies import invalid_body
from inference.gateway.describe import JSON
from inference.gateway.errors import ApiError, from_prediction, internal_error
from inference.gateway.kept_answers import Kept, StillRunning
from inference.gateway.metering import Asker
from inference.gateway.prediction import PoolBusy, PoolUnavailable, PredictionError
from inference.gateway.schemas.batches import BatchLine

log = structlog.get_logger(__name__)

LONGEST_LINE = 4 << 20
MOST_LINES = 50_000
_ATTEMPTS = 30
_MOST_SECONDS_BETWEEN = 5.0
_SECONDS_BETWEEN = 2.0


class InvalidLine(Exception):
    """A line that no batch can have; `number` counts from 1."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class Interrupted(Exception):
    """The models do not answer just now; the batch goes on later."""


@dataclass(frozen=True, slots=True)
class Line:
    """`number` counts from 1, `end` is the offset in bytes at which the next line begins."""

    number: int
    end: int
    custom_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A line's answer, as a line of the output file, or of the error file where it failed."""

    failed: bool
    line: bytes


@dataclass(frozen=True, slots=True)
class Batching:
    """For whom a batch's lines are answered: the scope is that of the API key which started it."""

    scope: TenantScope
    batch_id: UUID
    api_key_id: UUID
    endpoint: str

    def request_id(self, number: int) -> str:
        """What the line stands under in the ledger."""
        return f"batch_{self.batch_id.hex}_{number}"

    def _key(self, number: int) -> bytes:
        return sha256(self.request_id(number).encode()).digest()

    def answer(self, line: Line) -> Answered:
        """The line's answer, asked for unless it is kept. Raises Interrupted, and OperationalError."""
        try:
            body = self._ask_until_answered(line)
        except ApiError as error:
            return self._answered(line, error.status, json.dumps(error.body(self.request_id(line.number))))
        return self._answered(line, 200, body.decode())

    def forget(self, session: Session, lines: list[Line]) -> None:
        """Delete the kept answers of lines that are in a file by now."""
        keys = [self._key(line.number) for line in lines]
        session.execute(delete(KeptAnswer).where(KeptAnswer.key_digest.in_(keys)))

    def _ask_until_answered(self, line: Line) -> bytes:
        for _ in range(_ATTEMPTS):
            try:
                return self._ask(line)
            except PoolBusy as error:
                time.sleep(min(error.retry_after, _MOST_SECONDS_BETWEEN))
            except PoolUnavailable:
                time.sleep(_SECONDS_BETWEEN)
            except PredictionError as error:
                raise from_prediction(error) from None
            except (ApiError, Interrupted, OperationalError):
                raise
            except Exception:
                log.exception("batch_line_failed", request_id=self.request_id(line.number))
                raise internal_error() from None
        raise Interrupted

    def _ask(self, line: Line) -> bytes:
        request_id = self.request_id(line.number)
        try:
            found = kept_answers.claim(
                self.scope, self._key(line.number), sha256(line.body).digest(), request_id
            )
        except StillRunning:
            raise Interrupted from None
        if isinstance(found, Kept):
            return found.body
        made: list[bytes] = []

        def keep(session: Session, body: bytes) -> None:
            kept_answers.keep(session, found, JSON, body)
            made.append(body)

        try:
            CALLS[self.endpoint](
                Asker(self.scope, UsageSource.API, self.api_key_id, request_id), line.body, keep
            )
        except BaseException:
            kept_answers.release(found)  # nothing was billed
            raise
        return made[-1]

    def _answered(self, line: Line, status: int, body: str) -> Answered:
        request_id = self.request_id(line.number)
        value: dict[str, Any] = {
            "id": request_id.replace("batch_", "batch_req_", 1),
            "custom_id": line.custom_id,
            "response": {"status_code": status, "request_id": request_id, "body": json.loads(body)},
            "error": None,
        }
        return Answered(status != 200, json.dumps(value, ensure_ascii=False).encode() + b"\n")


def count_lines(stream: BinaryIO, endpoint: str) -> int:
    """How many lines a batch's file has. Raises InvalidLine, also for two lines of one `custom_id`, and for none."""
    seen: set[str] = set()
    for line in read_lines(stream, endpoint):
        if line.custom_id in seen:
            raise InvalidLine(line.number, "Its 'custom_id' is an earlier line's, too.")
        seen.add(line.custom_id)
    if not seen:
        raise InvalidLine(1, "The file has no lines.")
    return len(seen)


def read_lines(stream: BinaryIO, endpoint: str, *, number: int = 0, offset: int = 0) -> Iterator[Line]:
    """The lines of a batch's file after the first `number`, which end at `offset`; blank ones are left out.

    Raises InvalidLine.
    """
    stream.seek(offset)
    while raw := stream.readline(LONGEST_LINE + 1):
        number += 1
        offset += len(raw)
        if len(raw) > LONGEST_LINE:
            raise InvalidLine(number, f"A line may have {LONGEST_LINE} bytes.")
        if number > MOST_LINES:
            raise InvalidLine(number, f"A batch may have {MOST_LINES:,} lines. Make several of them.")
        if raw.isspace():
            continue
        try:
            line = BatchLine.model_validate_json(raw.removeprefix(b"\xef\xbb\xbf"))
        except ValidationError as error:
            raise InvalidLine(number, _in_words(error)) from None
        if line.url != endpoint:
            raise InvalidLine(number, f"'url' is {line.url!r}, and this batch is for {endpoint!r}.")
        yield Line(number, offset, line.custom_id, json.dumps(line.body).encode())


def _in_words(error: ValidationError) -> str:
    """What is wrong with a line. It is kept in the batch's row, where no name of a field may stand that the tenant
    made up."""
    if error.errors(include_url=False, include_input=False)[0]["type"] == "extra_forbidden":
        return f"It has a field that is none of {', '.join(map(repr, BatchLine.model_fields))}."
    return invalid_body(error).message
