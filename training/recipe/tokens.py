"""Texts as a base model reads them: token ids, kept compactly."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from core.catalogue import BaseModel

Ids = npt.NDArray[np.int32]
Indexes = npt.NDArray[np.int64]
Labels = npt.NDArray[Any]

_BATCH_ROWS = 256
_BATCH_CHARACTERS = 100_000
_HEAD_CHARACTERS = 4_000
# WordPiece makes at most 100 tokens of a word, so that a word cut in two can only change the last hundred.
_TOKENS_OF_A_WORD = 100


@dataclass(frozen=True, slots=True)
class TokenizedSplit:
    """A split's rows, one behind the other.

    ids: [tokens]; starts: [rows + 1], where each row begins in them; rows: [rows], their numbers in the file.
    labels: [labeled] or [labeled, labels], what is to be predicted of each labeled thing, a row or a word of it;
    label_starts: [rows + 1], where each row's begin; places: [labeled], the token that a word is labeled at, None
    where the rows are.
    """

    ids: Ids
    starts: Indexes
    rows: Indexes
    labels: Labels
    label_starts: Indexes
    places: Indexes | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> Indexes:
        """The number of tokens in each row, the special ones included."""
        return np.diff(self.starts)

    @property
    def tokens(self) -> int:
        return len(self.ids)

    def labeled(self, indexes: Indexes) -> Indexes:
        """The positions of what is labeled in the rows at `indexes`, row by row."""
        return spans(self.label_starts, indexes)

    def places_in(self, indexes: Indexes) -> Indexes | None:
        """Where the labeled words are among the tokens of the rows at `indexes`, one row behind the other."""
        if self.places is None:
            return None
        offsets = np.cumsum(self.lengths[indexes]) - self.lengths[indexes]
        counts = np.diff(self.label_starts)[indexes]
        return self.places[self.labeled(indexes)] + np.repeat(offsets - self.starts[indexes], counts)

    def take(self, indexes: Indexes) -> "TokenizedSplit":
        """The rows at `indexes`, in that order."""
        return TokenizedSplit(
            ids=self.ids[spans(self.starts, indexes)],
            starts=starts_of(self.lengths[indexes]),
            rows=self.rows[indexes],
            labels=self.labels[self.labeled(indexes)],
            label_starts=starts_of(np.diff(self.label_starts)[indexes]),
            places=self.places_in(indexes),
        )


def spans(starts: Indexes, indexes: Indexes) -> Indexes:
    """What lies between each of `indexes` and the next in `starts`, one span behind the other."""
    parts = [np.arange(starts[i], starts[i + 1]) for i in indexes]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def starts_of(lengths: Iterable[int]) -> Indexes:
    """Where things of these lengths begin, and the last ends: [things + 1]."""
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, dtype=np.int64))]).astype(np.int64)


def labeled_rows(ids: list[Ids], rows: Iterable[int], labels: Labels) -> TokenizedSplit:
    """A split of rows with these ids, numbers in the file and labels, one for each."""
    return TokenizedSplit(
        ids=np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32),
        starts=starts_of(len(row) for row in ids),
        rows=np.fromiter(rows, dtype=np.int64),
        labels=labels,
        label_starts=np.arange(len(ids) + 1),
    )


class TextTokenizer:
    """A base model's own tokenizer, which cuts texts off where the model stops reading, as the pool does."""

    def __init__(self, base: BaseModel) -> None:
        """Raises BaseModelUnavailable where the model's files are not installed."""
        self._max_length = base.max_length
        self._tokenizer = Tokenizer.from_file(str(base.folder() / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def tokenize(self, texts: Iterable[str], beat: Callable[[int], None]) -> list[Ids]:
        """`texts` as token ids; `beat` is told of every batch's rows."""
        ids: list[Ids] = []
        for batch in _batches(texts):
            ids += self._encode(batch)
            beat(len(batch))
        return ids

    def tokenize_words(self, text: str) -> tuple[Ids, Indexes, Indexes]:
        """`text` as token ids, and of each word the token that it begins with and the character.

        Words are the tokenizer's own: what lies between spaces, and each punctuation mark.
        """
        encoded = self._tokenizer.encode(text)
        ids = np.array(encoded.ids, dtype=np.int32)
        if len(ids) > self._max_length:
            ids = np.concatenate([ids[: self._max_length - 1], ids[-1:]])
        words = [-1 if word is None else word for word in encoded.word_ids[: len(ids) - 1]]
        firsts = np.flatnonzero(np.diff(np.array([-1, *words])) > 0)
        characters = [encoded.offsets[first][0] for first in firsts]
        return ids, firsts, np.array(characters, dtype=np.int64)

    def _encode(self, texts: list[str]) -> Iterator[Ids]:
        heads = [text[:_HEAD_CHARACTERS] for text in texts]
        for text, encoded in zip(texts, self._tokenizer.encode_batch_fast(heads), strict=True):
            ids = encoded.ids
            if len(text) > _HEAD_CHARACTERS and len(ids) < self._max_length + _TOKENS_OF_A_WORD:
                ids = self._tokenizer.encode(text).ids
            if len(ids) > self._max_length:
                ids = [*ids[: self._max_length - 1], ids[-1]]
            yield np.array(ids, dtype=np.int32)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == _BATCH_ROWS or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
