"""Rows in batches that are small in number and in characters, so that neither long texts nor many fill the memory."""

from collections.abc import Iterable, Iterator

from training.data.uploaded import UploadedRow

BATCH_ROWS = 256
BATCH_CHARACTERS = 200_000


def in_batches(rows: Iterable[UploadedRow]) -> Iterator[list[UploadedRow]]:
    """`rows` in lists of at most BATCH_ROWS and about BATCH_CHARACTERS characters of text."""
    batch: list[UploadedRow] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += row.characters
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
