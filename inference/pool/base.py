"""A base model in memory: frozen weights and tokenizer, loaded once, shared by every tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer
from torch import Tensor

from core.catalogue import get_base_model
from inference.pool.encoder import Encoder


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """`digest` is the SHA-256 of the weights' file, `max_length` the catalogue's longest text in tokens."""

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


def load_base(base_model_id: str) -> LoadedBase:
    """Load a base model of the catalogue, after checking its weights' digest.

    Raises UnknownBaseModel, BaseModelUnavailable or UnsupportedModel.
    """
    model = get_base_model(base_model_id)
    folder = model.verify()
    encoder, tensors = Encoder.load(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return LoadedBase(model.id, model.sha256, model.max_length, encoder, tensors, tokenizer)


def cut(ids: list[int], max_length: int) -> list[int]:
    """At most `max_length` tokens: the first ones, and the closing special token."""
    return ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]]
