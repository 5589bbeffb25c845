"""How long texts are to a base model: its own tokenizer, without the model."""

from collections.abc import Sequence

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from core.catalogue import Architecture, BaseModel
from training.data.uploaded import UploadedRow

_COUNTED_CHARACTERS = 8000


class TokenCounter:
    """Counts tokens as `model` would read them, its special tokens included. Holds no weights."""

    def __init__(self, model: BaseModel) -> None:
        """Raises BaseModelUnavailable where the model's files are not installed."""
        self.max_length = model.max_length
        folder = model.folder()
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._template = None
        if model.architecture is Architecture.DECODER:
            source = (folder / "chat_template.jinja").read_text(encoding="utf-8")
            # As transformers renders it; the template is the model's, not ours.
            environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
            self._template = environment.from_string(source)

    def count_rows(self, rows: Sequence[UploadedRow]) -> list[int]:
        """The number of tokens in each row: its text's, or a conversation's as the model's template writes it."""
        if self._template is None:
            return self.count([row.text for row in rows])
        return self.count([self._template.render(row.values()) for row in rows])

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens in each text; of a very long one, its beginning's number in proportion."""
        heads = [text[:_COUNTED_CHARACTERS] for text in texts]
        counts = [len(encoded) for encoded in self._tokenizer.encode_batch_fast(heads)]
        return [
            count if len(text) <= _COUNTED_CHARACTERS else count * len(text) // _COUNTED_CHARACTERS
            for text, count in zip(texts, counts, strict=True)
        ]
