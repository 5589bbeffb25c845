"""Uploaded rows for tagging, as CoNLL has them: tokens, and a BIO tag for each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.data.columns import ColumnMapping, Split
from training.data.errors import DataError
from training.data.normalise import clean_label
from training.data.table import Table, cell
from training.data.tags import OUTSIDE, entity_types, to_bio
from training.data.uploaded import Gap, check_label, check_text, raw_fields

MAX_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class TokensRow:
    """See UploadedRow. As many tags as tokens; no token is empty."""

    number: int
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    split: Split | None

    @property
    def gap(self) -> Gap:
        return Gap.NONE if self.tokens else Gap.TEXT

    @property
    def text(self) -> str:
        return " ".join(self.tokens)

    @property
    def question(self) -> str:
        return self.text

    @property
    def answer(self) -> str:
        # Texts that differ in punctuation only count as the same, so its tags are left aside.
        return " ".join(
            tag for token, tag in zip(self.tokens, self.tags, strict=True) if any(map(str.isalnum, token))
        )

    @property
    def shown(self) -> str:
        return ", ".join(self.mentions)

    @property
    def mentions(self) -> tuple[str, ...]:
        return entity_types(self.tags)

    @property
    def characters(self) -> int:
        return len(self.text)

    @property
    def turns(self) -> int:
        return 0

    @property
    def pieces(self) -> tuple[tuple[str, ...], ...]:
        return (self.tokens,)

    def with_pieces(self, pieces: Sequence[tuple[str, ...]]) -> "TokensRow":
        return replace(self, tokens=pieces[0])

    def values(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "tags": self.tags}


def read(table: Table, mapping: ColumnMapping) -> Iterator[TokensRow]:
    """The rows of `table`. Raises DataError at the first one that cannot be used."""
    column = mapping.label
    if column is None:
        raise DataError("Choose the column with the tags.")
    for number, split, tokens_value, tags_value, _ in raw_fields(table, mapping):
        written = _words(tokens_value, mapping.text, number)
        tags = _words(tags_value, column, number)
        if len(written) != len(tags):
            raise DataError(
                f"Row {number} has {len(written):,} tokens and {len(tags):,} tags. Write one tag for each token."
            )
        if len(written) > MAX_TOKENS:
            raise DataError(
                f"Row {number} has {len(written):,} tokens; {MAX_TOKENS:,} is the most. Split it."
            )
        kept = [
            (token, tag)
            for token, tag in zip(map(clean_label, written), to_bio(tags, number), strict=True)
            if token
        ]
        row = TokensRow(number, tuple(token for token, _ in kept), _mended([tag for _, tag in kept]), split)
        check_text(row.characters, number)
        for type_ in set(row.mentions):
            check_label(type_, number, column)
        yield row


def _words(value: Any, column: str, number: int) -> list[str]:
    """A list's values, or a text's words."""
    if isinstance(value, list):
        for position, one in enumerate(value, start=1):
            if not isinstance(one, str):
                raise DataError(
                    f"Row {number} has something else than a text in place {position} of “{column}”. "
                    "Write tokens as words, and tags by their names (B-PER), not by numbers."
                )
        return [cell(one, column, number) for one in value]
    return cell(value, column, number).split()


def _mended(tags: Sequence[str]) -> tuple[str, ...]:
    """BIO `tags` of which some were taken out with their (empty) tokens: an entity begins where its rest does."""
    result: list[str] = []
    for tag in tags:
        before = result[-1] if result else OUTSIDE
        goes_on = tag[:1] != "I" or before[1:] == tag[1:]
        result.append(tag if goes_on else f"B{tag[1:]}")
    return tuple(result)
