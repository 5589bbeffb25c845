"""Rows of an upload as they came and as they would be stored, for a person to look through before they accept it.

They hold personal data: they live as long as the request that asks for them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.data.chat_rows import ConversationRow
from training.data.columns import ColumnMapping
from training.data.personal import Protected, Protector
from training.data.row_readers import read_rows
from training.data.table import Table
from training.data.uploaded import UploadedRow

PAGE_ROWS = 10
PAGE_CHARACTERS = 8_000
"""To find names takes seconds for so much."""
LAST_ROW = 100_000
"""Rows behind this one are not shown: the file is read from its beginning."""


@dataclass(frozen=True, slots=True)
class ReviewedText:
    """A text of a row; `role` says whose it is in a conversation, `replacements` what stands for each finding."""

    protected: Protected
    replacements: Sequence[str]
    role: str | None


@dataclass(frozen=True, slots=True)
class ReviewedRow:
    """A row by its number in the file; not `is_whole` where it is too long to be shown to its end."""

    number: int
    texts: Sequence[ReviewedText]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where among the rows to be shown a page begins: `numbers` are those of its rows, at most PAGE_ROWS.

    `before` and `behind` are the first rows of the pages on either side; None where there is no such page.
    """

    numbers: Sequence[int]
    before: int | None
    behind: int | None


def place(report: Mapping[str, Any], kind: str | None, start: int, *, every: bool) -> Place:
    """The page from row `start` on, of the rows in which the check found something (of `kind`), or of `every` row.

    The check notes the first rows of each kind, and none behind LAST_ROW is shown.
    """
    if every:
        numbers: Sequence[int] = range(1, min(report["rows"], LAST_ROW) + 1)
    else:
        noted: Mapping[str, Sequence[int]] = report["personal_data"].get("noted_rows", {})
        chosen = [noted.get(kind, ())] if kind else noted.values()
        numbers = sorted({number for rows in chosen for number in rows if number <= LAST_ROW})
    first = next((index for index, number in enumerate(numbers) if number >= start), len(numbers))
    last = first + PAGE_ROWS
    return Place(
        numbers=numbers[first:last],
        before=numbers[max(0, first - PAGE_ROWS)] if first else None,
        behind=numbers[last] if last < len(numbers) else None,
    )


def review(
    table: Table, mapping: ColumnMapping, protector: Protector, numbers: Sequence[int]
) -> list[ReviewedRow]:
    """The rows of `table` with these numbers, in the file's order: as many of them as PAGE_CHARACTERS hold, at least one.

    Raises DataError.
    """
    room = PAGE_CHARACTERS
    reviewed: list[ReviewedRow] = []
    for row in _rows(table, mapping, numbers):
        if room <= 0:
            break
        texts = []
        for role, text in _texts(row):
            if room <= 0:
                break
            shown = text if len(text) <= room else text[:room].rsplit(" ", 1)[0]
            texts.append((role, shown))
            room -= len(text)
        found = protector.protect([shown for _, shown in texts], [row.number] * len(texts))
        reviewed.append(
            ReviewedRow(
                row.number,
                [
                    ReviewedText(one, _replacements(protector, one), role)
                    for one, (role, _) in zip(found, texts, strict=True)
                ],
                is_whole=room >= 0 and len(texts) == len(row.pieces),
            )
        )
    return reviewed


def _rows(table: Table, mapping: ColumnMapping, numbers: Sequence[int]) -> Iterator[UploadedRow]:
    wanted, last = frozenset(numbers), max(numbers, default=0)
    if not wanted:
        return
    for row in read_rows(table, mapping):
        if row.number in wanted:
            yield row
        if row.number >= last:
            return


def _texts(row: UploadedRow) -> Iterator[tuple[str | None, str]]:
    """The texts of a row, and in a conversation whose each is."""
    pieces = [" ".join(piece) for piece in row.pieces]
    if isinstance(row, ConversationRow):
        yield from zip((message.role for message in row.messages), pieces, strict=True)
    else:
        yield from ((None, piece) for piece in pieces)


def _replacements(protector: Protector, text: Protected) -> list[str]:
    return [protector.replacement(one.entity, text.original[one.start : one.end]) for one in text.findings]
