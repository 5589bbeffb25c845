"""What a file's first row says about the file: JSON Lines whose keys tell the task, or a batch's requests."""

import json
from collections.abc import Mapping
from typing import Any

from core.catalogue import Task
from core.models.files import FilePurpose
from inference.gateway.errors import ApiError, ErrorType
from inference.gateway.uploads import HEAD_BYTES

_KEYS = {
    Task.CHAT: {"messages"},
    Task.TAGGING: {"tokens", "tags"},
    Task.MULTI_LABEL: {"text", "labels"},
    Task.CLASSIFICATION: {"text", "label"},
}
_BATCH_KEYS = {"custom_id", "method", "url", "body"}


def check_head(head: bytes, purpose: FilePurpose) -> None:
    """Raise ApiError where a file that begins with `head` cannot be what `purpose` says.

    A first row that is longer than HEAD_BYTES is left to whoever reads the whole file.
    """
    row = _first_row(head)
    if row is None:
        return
    if purpose is FilePurpose.FINE_TUNE:
        find_task(row)
    elif missing := sorted(_BATCH_KEYS - row.keys()):
        raise _invalid(
            f"The first row has no {missing[0]!r}. A batch's rows have 'custom_id', 'method', 'url' and 'body'."
        )


def task_of(head: bytes) -> Task:
    """What a file that begins with `head` trains for. Raises ApiError where its first row does not tell."""
    row = _first_row(head)
    if row is None:
        raise _invalid(f"The first row has more than {HEAD_BYTES} bytes. Put a shorter one before it.")
    return find_task(row)


def find_task(row: Mapping[str, Any]) -> Task:
    """The task by the keys of a row. Raises ApiError where they are none of those that we know."""
    for task, keys in _KEYS.items():
        if keys <= row.keys():
            return task
    raise _invalid(
        "The first row's keys do not tell what to train. Use 'text' and 'label' for classification, 'text' and "
        "'labels' for several labels, 'tokens' and 'tags' for entities, or 'messages' for chat."
    )


def _first_row(head: bytes) -> dict[str, Any] | None:
    """The first row's object; None where `head` does not hold all of it. Raises ApiError."""
    lines = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)
    if not lines[0]:
        raise _invalid("The file is empty.")
    if len(lines) == 1 and len(head) == HEAD_BYTES:
        return None
    try:
        row = json.loads(lines[0])
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise _invalid("The file is not JSON Lines: write one JSON object a line, in UTF-8.")
    return row


def _invalid(message: str) -> ApiError:
    return ApiError(400, ErrorType.INVALID_REQUEST, "invalid_file", message, param="file")
