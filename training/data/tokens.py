"""How long texts are to a base model: its own tokenizer, without the model."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from core.catalogue import BaseModel

_COUNTED_CHARACTERS = 8000


class TokenCounter:
    """Counts tokens as `model` would read them, its special tokens included. Holds no weights."""

    def __init__(self, model: BaseModel) -> None:
        """Raises BaseModelUnavailable where the model's files are not installed."""
        self.max_length = model.max_length
        self._tokenizer = Tokenizer.from_file(str(model.folder() / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens in each text; of a very long one, its beginning's number in proportion."""
        heads = [text[:_COUNTED_CHARACTERS] for text in texts]
        counts = [len(encoded) for encoded in self._tokenizer.encode_batch_fast(heads)]
        return [
            count if len(text) <= _COUNTED_CHARACTERS else count * len(text) // _COUNTED_CHARACTERS
            for text, count in zip(texts, counts, strict=True)
        ]
