"""A base model in memory: frozen weights and tokenizer, loaded once, shared by every tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer
from torch import Tensor

from core.catalogue import get_base_model
from inference.pool.encoder import Encoder
from inference.pool.encoder_weights import EncoderConfig, fuse, load_tensors
from inference.pool.linear import linear_of
from inference.pool.precision import Precision


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text as the tokenizer splits them: its first token's position, and its characters [start, end)."""

    position: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's token ids, with the model's special tokens, and its words."""

    ids: list[int]
    words: tuple[Word, ...]

    def cut(self, max_length: int) -> "Tokens":
        """At most `max_length` tokens, and the words that begin within them."""
        if len(self.ids) <= max_length:
            return self
        words = tuple(word for word in self.words if word.position < max_length - 1)
        return Tokens(cut(self.ids, max_length), words)


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """`digest` is the SHA-256 of the weights' file, `max_length` the catalogue's longest text in tokens.

    `tensors` are the weights by the names in that file.
    """

    id: str
    digest: str
    max_length: int
    encoder: Encoder
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with the model's special tokens, however long. Thread-safe; frees the
        GIL."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts))]

    def tokenise_words(self, texts: Sequence[str], limit: int) -> list[Tokens]:
        """The same, and the words that begin among each text's first `limit` tokens."""
        return [
            Tokens(encoding.ids, _words(encoding.word_ids, encoding.offsets, limit))
            for encoding in self.tokenizer.encode_batch(list(texts))
        ]


def load_base(base_model_id: str, precision: Precision = Precision.FP32) -> LoadedBase:
    """Load a base model of the catalogue, after checking its weights' digest.

    Raises UnknownBaseModel, BaseModelUnavailable or UnsupportedModel.
    """
    model = get_base_model(base_model_id)
    folder = model.verify()
    config = EncoderConfig.read(folder)
    tensors = load_tensors(folder)
    encoder = Encoder(config, fuse(tensors, config), linear_of(precision))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return LoadedBase(model.id, model.sha256, model.max_length, encoder, tensors, tokenizer)


def cut(ids: list[int], max_length: int) -> list[int]:
    """At most `max_length` tokens: the first ones, and the closing special token."""
    return ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]]


def _words(
    word_ids: Sequence[int | None], offsets: Sequence[tuple[int, int]], limit: int
) -> tuple[Word, ...]:
    """Words from the tokenizer's number of each token's word (None: a special token) and its characters."""
    words: list[Word] = []
    previous = None
    for position, (number, (start, end)) in enumerate(zip(word_ids, offsets, strict=True)):
        if number is not None and number == previous:
            words[-1] = Word(words[-1].position, words[-1].start, end)
        elif position >= limit:
            break
        elif number is not None:
            words.append(Word(position, start, end))
        previous = number
    return tuple(words)
