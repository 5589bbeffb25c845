"""Conversations as a chat base reads them: its own template, its own tokens."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from core.catalogue import get_base_model

_TEMPLATE_FILE = "chat_template.jinja"
_SETTINGS_FILE = "tokenizer_config.json"


@dataclass(frozen=True, slots=True)
class Prompts:
    """A base's template and tokenizer, without its weights. `max_length`: tokens of prompt and answer together."""

    base_id: str
    max_length: int
    tokenizer: Tokenizer
    template: Template
    special: Mapping[str, str]

    @classmethod
    def load(cls, base_model_id: str) -> "Prompts":
        """Those of a chat base of the catalogue. Raises UnknownBaseModel or BaseModelUnavailable."""
        model = get_base_model(base_model_id)
        return cls.read(model.folder(), base_model_id=model.id, max_length=model.max_length)

    @classmethod
    def read(cls, folder: Path, *, base_model_id: str, max_length: int) -> "Prompts":
        """Those in `folder`, rendered as transformers renders them."""
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        settings = json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))
        return cls(
            base_id=base_model_id,
            max_length=max_length,
            tokenizer=tokenizer,
            template=environment.from_string((folder / _TEMPLATE_FILE).read_text(encoding="utf-8")),
            special={
                name: value
                for name, value in settings.items()
                if name.endswith("_token") and isinstance(value, str)
            },
        )

    def encode(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Token ids of the conversation, up to where the assistant answers. Thread-safe."""
        text = self.template.render(messages=messages, add_generation_prompt=True, **self.special)
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)
