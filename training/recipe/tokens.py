"""Texts as a base model reads them: token ids, kept compactly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from core.catalogue import BaseModel
from training.recipe.data import Example

Ids = npt.NDArray[np.int32]
Indexes = npt.NDArray[np.int64]

_BATCH_ROWS = 256
_BATCH_CHARACTERS = 100_000
_HEAD_CHARACTERS = 4_000
# WordPiece makes at most 100 tokens of a word, so that a word cut in two can only change the last hundred.
_TOKENS_OF_A_WORD = 100


@dataclass(frozen=True, slots=True)
class TokenizedSplit:
    """A split's rows, one behind the other.

    ids: [tokens]; starts: [rows + 1], where each row begins in them; labels: [rows], positions in the data's labels;
    rows: [rows], their numbers in the file.
    """

    ids: Ids
    starts: Indexes
    labels: Indexes
    rows: Indexes

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> Indexes:
        """The number of tokens in each row, the special ones included."""
        return np.diff(self.starts)

    @property
    def tokens(self) -> int:
        return len(self.ids)

    def take(self, indexes: Indexes) -> "TokenizedSplit":
        """The rows at `indexes`, in that order."""
        lengths = self.lengths[indexes]
        parts = [self.ids[self.starts[i] : self.starts[i + 1]] for i in indexes]
        return TokenizedSplit(
            ids=np.concatenate(parts) if parts else self.ids[:0],
            starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            labels=self.labels[indexes],
            rows=self.rows[indexes],
        )


class TextTokenizer:
    """A base model's own tokenizer, which cuts texts off where the model stops reading, as the pool does."""

    def __init__(self, base: BaseModel) -> None:
        """Raises BaseModelUnavailable where the model's files are not installed."""
        self._max_length = base.max_length
        self._tokenizer = Tokenizer.from_file(str(base.folder() / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def tokenize(
        self, examples: Sequence[Example], labels: Sequence[str], beat: Callable[[int], None]
    ) -> TokenizedSplit:
        """`examples` as token ids; `beat` is told of every batch's rows. `labels` holds every example's label."""
        position = {label: index for index, label in enumerate(labels)}
        ids: list[Ids] = []
        lengths: list[int] = []
        for batch in _batches(examples):
            for row in self._encode([example.text for example in batch]):
                ids.append(row)
                lengths.append(len(row))
            beat(len(batch))
        return TokenizedSplit(
            ids=np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32),
            starts=np.fromiter(accumulate(lengths, initial=0), dtype=np.int64),
            labels=np.fromiter((position[example.label] for example in examples), dtype=np.int64),
            rows=np.fromiter((example.row for example in examples), dtype=np.int64),
        )

    def _encode(self, texts: Sequence[str]) -> Iterator[Ids]:
        heads = [text[:_HEAD_CHARACTERS] for text in texts]
        for text, encoded in zip(texts, self._tokenizer.encode_batch_fast(heads), strict=True):
            ids = encoded.ids
            if len(text) > _HEAD_CHARACTERS and len(ids) < self._max_length + _TOKENS_OF_A_WORD:
                ids = self._tokenizer.encode(text).ids
            if len(ids) > self._max_length:
                ids = [*ids[: self._max_length - 1], ids[-1]]
            yield np.array(ids, dtype=np.int32)


def _batches(examples: Sequence[Example]) -> Iterator[list[Example]]:
    batch: list[Example] = []
    characters = 0
    for example in examples:
        batch.append(example)
        characters += len(example.text)
        if len(batch) == _BATCH_ROWS or characters > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
