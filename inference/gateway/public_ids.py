"""The ids that the API shows, `file-<32 hexadecimal digits>`: a row's own id, with what it is in front."""

import re
from enum import StrEnum
from uuid import UUID

_HEX = re.compile(r"[0-9a-f]{32}")


class Prefix(StrEnum):
    """What an id begins with, as OpenAI's do."""

    FILE = "file-"
    JOB = "ftjob-"
    EVENT = "ftevent-"
    CHECKPOINT = "ftckpt-"
    BATCH = "batch_"


def public_id(prefix: Prefix, row_id: UUID) -> str:
    return f"{prefix}{row_id.hex}"


def find_row_id(prefix: Prefix, value: str) -> UUID | None:
    """The row's id that `value` stands for; None where it has another form, so that there is no such row."""
    digits = value.removeprefix(prefix)
    return UUID(digits) if value.startswith(prefix) and _HEX.fullmatch(digits) else None
